import type { MachineState, ServiceRecord } from '../machine-state.ts'

/** Less is how clocks are corrected all the time. */
const JUMP_MS = 1000

/**
 * Tells by how many ms the clock was set since the last call, 0 mostly: by the time that has passed by a clock which
 * nobody sets.
 */
export function watchClock(
  wallMs: () => number = Date.now,
  steadyMs: () => number = () => performance.now(),
): () => number {
  let offsetMs = wallMs() - steadyMs()
  return () => {
    const jumpMs = wallMs() - steadyMs() - offsetMs
    if (Math.abs(jumpMs) < JUMP_MS) return 0
    offsetMs += jumpMs
    return jumpMs
  }
}

/**
 * The machine with all times that something is measured from moved with the clock, so that no patience is over too early or
 * too late. Times of what has ended stay as they were told.
 */
export function moveClock(machine: MachineState, byMs: number): MachineState {
  const services = new Map([...machine.services].map(([name, record]) => [name, moveRecord(record, byMs)]))
  return { ...machine, startedAtMs: machine.startedAtMs + byMs, services }
}

function moveRecord(record: ServiceRecord, byMs: number): ServiceRecord {
  const move = (atMs: number | null): number | null => (atMs === null ? null : atMs + byMs)
  const { order, stop, history, lastFailureAtMs } = record
  return {
    ...record,
    sinceMs: record.sinceMs + byMs,
    launchedAtMs: move(record.launchedAtMs),
    readyAtMs: move(record.readyAtMs),
    lastFailureAtMs: lastFailureAtMs === 0 ? 0 : lastFailureAtMs + byMs,
    outOfMemoryAtMs: move(record.outOfMemoryAtMs),
    startOrderedAtMs: move(record.startOrderedAtMs),
    order: order === null ? null : { ...order, atMs: order.atMs + byMs },
    stop: stop === null ? null : { ...stop, atMs: stop.atMs + byMs },
    history: {
      ...history,
      faults: history.faults.map((fault) => ({ ...fault, atMs: fault.atMs + byMs })),
      flips: history.flips.map((atMs) => atMs + byMs),
    },
  }
}
