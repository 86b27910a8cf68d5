import { spawnSync } from 'node:child_process'

export interface Measured {
  readonly medianMs: number
  /** Largest resident set of any run; 0 where the program does not tell. */
  readonly peakBytes: number
}

export interface Contestant {
  readonly name: string
  readonly command: readonly string[]
  /** Brings everything into the state that a run starts from; its time does not count. */
  readonly before?: () => void
}

/** Without a certificate file that Node would read at every start, and that not every machine has. */
const environment: NodeJS.ProcessEnv = { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_OPTIONS: undefined }

/**
 * Medians of whole processes, in milliseconds. The contestants take turns, so that whatever else the machine does falls
 * on all of them.
 */
export function race(contestants: readonly Contestant[], rounds: number): Map<string, Measured> {
  const times = new Map(contestants.map(({ name }) => [name, [] as number[]]))
  const peaks = new Map(contestants.map(({ name }) => [name, 0]))
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, command, before } of contestants) {
      before?.()
      times.get(name)?.push(runMs(command))
    }
  }
  for (const { name, command, before } of contestants) {
    before?.()
    peaks.set(name, peakBytes(command))
  }
  return new Map(
    contestants.map(({ name }) => [name, { medianMs: median(times.get(name) ?? []), peakBytes: peaks.get(name) ?? 0 }]),
  )
}

function runMs(command: readonly string[]): number {
  const startedMs = performance.now()
  const { status, stderr } = spawnSync(command[0] ?? '', command.slice(1), { env: environment, encoding: 'utf8' })
  const elapsedMs = performance.now() - startedMs
  if (status !== 0) throw new Error(`cannot measure "${command.join(' ')}": it ended with ${status}: ${stderr}`)
  return elapsedMs
}

/** The kernel's own figure for a finished child (`VmHWM` is gone by then): asked through the shell's `time`. */
function peakBytes(command: readonly string[]): number {
  const script =
    'import resource, subprocess, sys; subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)'
  const { stdout, status } = spawnSync('python3', ['-c', script, ...command], { env: environment, encoding: 'utf8' })
  return status === 0 ? Number(stdout.trim()) * 1024 : 0
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}
