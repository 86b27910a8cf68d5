import type { ProcessExit } from './process-exit.ts'
import { readTai64n, TAI64N_LENGTH } from './tai64n.ts'

/** One death of a service, from `supervise/death_tally`. */
export interface Death {
  readonly atMs: number
  readonly exit: ProcessExit
}

/** A label, the exit code (128 + signal for a signal), the signal. */
const RECORD_LENGTH = TAI64N_LENGTH + 2

/**
 * Reads the bytes of `supervise/death_tally`, oldest death first. The supervisor empties the file when it starts; a length
 * that is no multiple of a record counts as empty too, and the next reading is right.
 */
export function decodeDeathTally(bytes: Uint8Array): readonly Death[] {
  if (bytes.length % RECORD_LENGTH !== 0) return []
  return Array.from({ length: bytes.length / RECORD_LENGTH }, (_, index) => {
    const at = index * RECORD_LENGTH
    const [code, signal] = [bytes[at + TAI64N_LENGTH]!, bytes[at + TAI64N_LENGTH + 1]!]
    return { atMs: readTai64n(bytes, at), exit: signal === 0 ? { kind: 'exit', code } : { kind: 'signal', signal } }
  })
}

/** Signals by which people and the sidecar end a process: SIGINT, SIGQUIT, SIGTERM. */
const REQUESTED_SIGNALS = new Set([2, 3, 15])

/**
 * The deaths that count against a restart budget, those within `windowMs` before the last one. The same rule stands in
 * the `finish` scripts: a death by a signal that asks for the end counts not, nor its exit code as shells give it. A clean exit
 * counts only where `countsCleanExit`: of a custom service it is a fault, the built-in ones end so when they are asked to.
 */
export function countedDeaths(deaths: readonly Death[], windowMs: number, countsCleanExit: boolean): readonly Death[] {
  const last = deaths.at(-1)
  if (last === undefined) return []
  return deaths.filter(
    ({ atMs, exit }) => atMs >= last.atMs - windowMs && !wasRequested(exit) && (countsCleanExit || !isClean(exit)),
  )
}

const isClean = (exit: ProcessExit): boolean => exit.kind === 'exit' && exit.code === 0

function wasRequested(exit: ProcessExit): boolean {
  return REQUESTED_SIGNALS.has(exit.kind === 'signal' ? exit.signal : exit.code - 128)
}
