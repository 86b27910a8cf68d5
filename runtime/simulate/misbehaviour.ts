/** Applies the knobs that concern the process itself: late starts, crashes, hangs, deafness to signals, leftovers. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Knobs } from './knobs.ts'

/** A leftover child does not live for ever, so that a failed test leaves nothing behind for good. */
const LEFTOVER_SECONDS = 600

/** What happens before the program listens. Does not return when the program is to crash at start. */
export async function beforeListening(knobs: Knobs, log: (line: string) => void): Promise<void> {
  if (knobs.ignoreStop) for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => {})
  if (knobs.leaveChild) log(`Started background process [${leaveChild()}]`)
  if (knobs.startupMs > 0) await sleep(knobs.startupMs)
  const crash = knobs.crashAtStart
  if (crash !== undefined && (!crash.startsWith('/') || existsSync(crash))) {
    log('Traceback (most recent call last):\nRuntimeError: simulated crash at start')
    endProcess(knobs.exitCode)
    await new Promise(() => {})
  }
}

/** Arms the clocks that run from the moment the program listens. Without these knobs there is no timer at all. */
export function onceListening(knobs: Knobs, log: (line: string) => void): void {
  if (knobs.crashAfterMs !== undefined) {
    setTimeout(() => {
      log('Traceback (most recent call last):\nRuntimeError: simulated crash')
      endProcess(knobs.exitCode)
    }, knobs.crashAfterMs).unref()
  }
  if (knobs.hangAfterMs !== undefined) setTimeout(hang, knobs.hangAfterMs).unref()
}

/**
 * Blocks the only thread for good, without using the CPU. The kernel still accepts connections, nothing answers them, and
 * handlers of signals no longer run: a deadlock as the real programs have it.
 */
function hang(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

/** Ends with an exit code, or by signal `code - 128`. */
export function endProcess(code: number): void {
  if (code <= 128) process.exit(code)
  const wanted = code - 128
  const name = Object.entries(constants.signals).find(([, number]) => number === wanted)?.[0]
  if (name === undefined) process.exit(code)
  process.removeAllListeners(name)
  process.kill(process.pid, wanted)
}

/** A process of the same group that outlives its parent and every polite signal; gives its pid. */
function leaveChild(): number {
  const child = spawn('sh', ['-c', `trap '' TERM INT HUP; exec sleep ${LEFTOVER_SECONDS}`], { stdio: 'ignore' })
  child.unref()
  return child.pid ?? 0
}
