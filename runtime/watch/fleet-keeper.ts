import type { MachineEvent } from '../shared/machine-event.ts'
import type { RedisConnection } from '../sidecar/events/redis-connection.ts'
import { createEventOrder } from './event-order.ts'
import { applyEvent, applyStatus, type Fleet, type FleetMachine, MOST_MACHINES, unknownMachine } from './fleet.ts'
import { ask } from './follow-stream.ts'
import { findMachines, readStatuses } from './machine-status.ts'
import { arrivalMs, idBefore, readEntries, STREAM_START, type StreamEntry } from './stream-entry.ts'

/** The fleet as it is known now, kept up to date by the entries of the stream and by looks at the statuses. */
export interface FleetKeeper {
  readonly fleet: () => Fleet
  /** The newest events, oldest first. */
  readonly recent: () => readonly RecentEvent[]
  /** Now, by the clock of Redis; `null` before it was asked. */
  readonly nowMs: () => number | null
  /** Events that should have been in the stream and were not. */
  readonly missed: () => number
  /** Entries that hold no event. */
  readonly unreadable: () => number
  /** Reads the statuses, and as much history as shows how the machines are; gives the id of the newest entry. */
  readonly begin: (open: RedisConnection) => Promise<string>
  readonly take: (entries: readonly StreamEntry[]) => void
  /** Reads the statuses where it is time to. */
  readonly tend: (open: RedisConnection) => Promise<void>
}

export interface RecentEvent {
  readonly event: MachineEvent
  readonly atMs: number
}

const STATUS_INTERVAL_MS = 2000
const SEARCH_INTERVAL_MS = 15_000
/** A machine needs this long to say its status to a Redis that came back without it. */
const RETURN_MS = 15_000
const RECENT_EVENTS = 200

const HISTORY_PAGE = 1000
/** Some history is read anyway, for machines that are gone; as much as the stream keeps, until all machines are known. */
const HISTORY_PAGES = { least: 5, most: 50 }

/** `machine`: the only one to look at; `null`: all of them. */
export function createFleetKeeper(stream: string, machine: string | null): FleetKeeper {
  const machines = new Map<string, FleetMachine>()
  const order = createEventOrder(null)
  let recent: readonly RecentEvent[] = []
  let [missed, unreadable] = [0, 0]
  let clockOffsetMs: number | null = null
  let [lookedAtMs, searchedAtMs, connectedAtMs] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, 0]
  let connection: RedisConnection | null = null

  const takeOne = ({ id, event }: StreamEntry) => {
    if (event === null) {
      unreadable += 1
      return
    }
    const { isNew, missing } = order.note(event)
    missed += missing === null ? 0 : missing.lastSeq - missing.firstSeq + 1
    if (!isNew || (machine !== null && event.machine !== machine)) return
    const before = machines.get(event.machine) ?? unknownMachine(event.machine)
    if (machines.size >= MOST_MACHINES && !machines.has(event.machine)) return
    const atMs = arrivalMs(id)
    machines.set(event.machine, applyEvent(before, event, atMs))
    recent = [...recent.slice(1 - RECENT_EVENTS), { event, atMs }]
  }

  const look = async (open: RedisConnection) => {
    if (connection !== open) connectedAtMs = performance.now()
    connection = open
    const isSearchDue = machine === null && performance.now() - searchedAtMs > SEARCH_INTERVAL_MS
    const found = isSearchDue ? await findMachines(open) : machine === null ? [] : [machine]
    if (isSearchDue) searchedAtMs = performance.now()
    const ids = [...new Set([...machines.keys(), ...found])].slice(0, MOST_MACHINES)
    const { nowMs, statuses } = await readStatuses(open, ids)
    clockOffsetMs = nowMs - performance.now()
    lookedAtMs = performance.now()
    for (const [id, status] of statuses) {
      const before = machines.get(id)
      if (before === undefined && status === null) continue
      const isComingBack = before?.isThere === true && lookedAtMs - connectedAtMs < RETURN_MS
      if (status === null && isComingBack) continue
      machines.set(id, applyStatus(before ?? unknownMachine(id), status, nowMs))
    }
  }

  return {
    fleet: () => machines,
    recent: () => recent,
    nowMs: () => (clockOffsetMs === null ? null : performance.now() + clockOffsetMs),
    missed: () => missed,
    unreadable: () => unreadable,
    begin: async (open) => {
      await look(open)
      const history = await readHistory(open, stream, [...machines.keys()])
      history.forEach(takeOne)
      await look(open)
      return history.at(-1)?.id ?? STREAM_START
    },
    take: (entries) => entries.forEach(takeOne),
    tend: async (open) => {
      if (connection !== open || performance.now() - lookedAtMs >= STATUS_INTERVAL_MS) await look(open)
    },
  }
}

/** The newest entries, oldest first, back to where everything about these machines was told. */
async function readHistory(
  open: RedisConnection,
  stream: string,
  machines: readonly string[],
): Promise<readonly StreamEntry[]> {
  const untold = new Set(machines)
  const pages: StreamEntry[][] = []
  let end = '+'
  while (pages.length < HISTORY_PAGES.most && (untold.size > 0 || pages.length < HISTORY_PAGES.least)) {
    const page = readEntries(await ask(open, ['xrevrange', stream, end, '-', 'COUNT', HISTORY_PAGE]))
    for (const { event } of page) {
      if (event?.type === 'health.digest' || event?.type === 'machine.started') untold.delete(event.machine)
    }
    pages.push(page)
    const oldest = page.at(-1)
    if (oldest === undefined || page.length < HISTORY_PAGE) break
    end = idBefore(oldest.id)
  }
  return pages.flat().reverse()
}
