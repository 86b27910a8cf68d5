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
  for (let round = 0; round < rounds; round += 1)
    for (const contestant of contestants) times.get(contestant.name)?.push(timed(contestant))
  return new Map(contestants.map((contestant) => [contestant.name, measured(contestant, times.get(contestant.name))]))
}

/** A contestant beside a baseline. */
export interface Compared extends Measured {
  /** Its times as multiples of the baseline's: the median, and the quartiles around it. */
  readonly ratio: { readonly median: number; readonly low: number; readonly high: number }
}

/**
 * How contestants compare with a baseline, which runs before every single run and is compared with that one: a machine
 * that is busy, or slower for a while, is so for both. A ratio of two medians would compare different moments.
 */
export function raceAgainst(
  baseline: Contestant,
  contestants: readonly Contestant[],
  rounds: number,
): { readonly baseline: Measured; readonly contestants: Map<string, Compared> } {
  const baselineTimes: number[] = []
  const times = new Map(contestants.map(({ name }) => [name, { runs: [] as number[], ratios: [] as number[] }]))
  for (let round = 0; round < rounds; round += 1) {
    for (const contestant of contestants) {
      const baselineMs = timed(baseline)
      const runMs = timed(contestant)
      baselineTimes.push(baselineMs)
      times.get(contestant.name)?.runs.push(runMs)
      times.get(contestant.name)?.ratios.push(runMs / baselineMs)
    }
  }
  const compared = contestants.map((contestant): [string, Compared] => {
    const { runs = [], ratios = [] } = times.get(contestant.name) ?? {}
    const ratio = { median: median(ratios), low: quantile(ratios, 0.25), high: quantile(ratios, 0.75) }
    return [contestant.name, { ...measured(contestant, runs), ratio }]
  })
  return { baseline: measured(baseline, baselineTimes), contestants: new Map(compared) }
}

function timed({ command, before }: Contestant): number {
  before?.()
  return runMs(command)
}

function measured({ command, before }: Contestant, times: readonly number[] = []): Measured {
  before?.()
  return { medianMs: median(times), peakBytes: peakBytes(command) }
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
  return quantile(values, 0.5)
}

/** The value below which a share of the values lies, between two of them where it falls there. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * share
  const [below = 0, above = below] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]]
  return below + (above - below) * (place - Math.floor(place))
}
