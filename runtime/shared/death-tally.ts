import { constants } from 'node:os'
import type { PlannedService } from '../../schema/plan.ts'
import type { ProcessExit } from './process-exit.ts'
import { readTai64n, TAI64N_LENGTH } from './tai64n.ts'

/** One death of a service, from `supervise/death_tally`. */
export interface Death {
  readonly atMs: number
  readonly exit: ProcessExit
  /** The bytes of the record in hexadecimal: its time is in nanoseconds, so no two deaths of a service have the same. */
  readonly id: string
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
    return {
      atMs: readTai64n(bytes, at),
      exit: signal === 0 ? { kind: 'exit', code } : { kind: 'signal', signal },
      id: Buffer.from(bytes.buffer, bytes.byteOffset + at, RECORD_LENGTH).toString('hex'),
    }
  })
}

/** Signals by which people and the sidecar end a process: SIGINT, SIGQUIT, SIGTERM. */
const REQUESTED_SIGNALS = new Set([2, 3, 15])

type Counting = Pick<PlannedService, 'restart' | 'type' | 'stop'>

/**
 * The deaths that count against a restart budget, those within its window before the last one; none where there is no
 * budget. The same rule stands in the `finish` scripts.
 */
export function countedDeaths(deaths: readonly Death[], service: Counting): readonly Death[] {
  const [last, windowMs] = [deaths.at(-1), service.restart?.windowMs]
  if (last === undefined || windowMs === undefined) return []
  return deaths.filter(({ atMs, exit }) => atMs >= last.atMs - windowMs && countsAgainstBudget(exit, service))
}

/**
 * A death by a signal that asks for the end counts not, the service's own stop signal among them, nor its exit code as
 * shells give it. A clean exit counts of a custom service only: the built-in ones end so when they are asked to.
 */
export function countsAgainstBudget(exit: ProcessExit, service: Pick<PlannedService, 'type' | 'stop'>): boolean {
  if (wasRequested(exit, service)) return false
  return service.type === 'custom' || exit.kind !== 'exit' || exit.code !== 0
}

/** The process ended by a signal that asks for its end. */
export function wasRequested(exit: ProcessExit, service: Pick<PlannedService, 'stop'>): boolean {
  const signal = exit.kind === 'signal' ? exit.signal : exit.code - 128
  return REQUESTED_SIGNALS.has(signal) || signal === signalNumber(service.stop.signal)
}

function signalNumber(name: string): number | undefined {
  return Object.hasOwn(constants.signals, name) ? constants.signals[name as NodeJS.Signals] : undefined
}
