/** Starts the stand-ins as real processes for tests, and ends what is left of them when the test process ends. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { buildSync } from 'esbuild'
import { temporaryDirectory } from '../temporary-directory.ts'

/** One bundle a test process: it starts five times as fast as the sources through tsx, and is the form that is shipped. */
const MAIN = join(temporaryDirectory(), 'simulate.mjs')
buildSync({
  entryPoints: [join(import.meta.dirname, '../../runtime/simulate/main.ts')],
  outfile: MAIN,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  logLevel: 'error',
  // Bundled CommonJS packages look for a `require`, which ES modules do not have.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
})
/** Starting takes a fifth of a second alone, much longer on a busy machine. */
const START_TIMEOUT_MS = 20_000

export interface Simulated {
  readonly child: ChildProcess
  /** Everything written so far, stdout and stderr. */
  output(): string
  /** Resolves when the output matches. */
  waitFor(pattern: RegExp): Promise<void>
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export function startSimulated(args: readonly string[], env: Record<string, string> = {}, cwd?: string): Simulated {
  const child = spawn(process.execPath, [MAIN, ...args], {
    ...(cwd === undefined ? {} : { cwd }),
    env: { PATH: process.env.PATH, HOME: cwd, SIMULATE_STEP_MS: '5', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let output = ''
  const watchers = new Set<() => void>()
  const take = (chunk: Buffer) => {
    output += chunk.toString()
    for (const watcher of watchers) watcher()
  }
  child.stdout?.on('data', take)
  child.stderr?.on('data', take)
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on('close', (code, signal) => {
      running.delete(child)
      resolve({ code, signal })
      for (const watcher of watchers) watcher()
    })
  })
  const waitFor = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => fail('in time'), START_TIMEOUT_MS)
      const fail = (how: string) => {
        watchers.delete(look)
        clearTimeout(timer)
        reject(new Error(`${args[0]} did not write ${pattern} ${how}:\n${output}`))
      }
      const look = () => {
        if (pattern.test(output)) {
          watchers.delete(look)
          clearTimeout(timer)
          resolve()
        } else if (!running.has(child)) fail('before it ended')
      }
      watchers.add(look)
      look()
    })
  return { child, output: () => output, waitFor, exited }
}

/** Ends what a failed test has left running; for `test.after`, as a child would keep the test process from ending. */
export async function endAll(): Promise<void> {
  for (const child of running) {
    child.kill('SIGKILL')
    child.stdout?.destroy()
    child.stderr?.destroy()
  }
}

/** A port of the loopback interface that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

/** Sends a signal and waits for the end. */
export function end(simulated: Simulated, signal: NodeJS.Signals = 'SIGKILL') {
  simulated.child.kill(signal)
  return simulated.exited
}
