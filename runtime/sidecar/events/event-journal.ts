import type { EventDraft, MachineEvent } from '../../shared/machine-event.ts'

/** The machine's events in their one order, on disk. Whoever tells others of events reads them from here. */
export interface EventJournal {
  readonly bootId: string
  /** Number of the newest event, 0 before the first. */
  readonly lastSeq: () => number
  /** Number of the oldest event that is still kept. */
  readonly firstSeq: () => number
  /** Gives the event its number and keeps it. It never throws: a full disk is noted and tried again. */
  readonly append: (draft: EventDraft) => MachineEvent
  /** Up to `limit` events with a greater number than `seq`, oldest first; at most 1000 a call. */
  readonly since: (seq: number, limit: number) => readonly MachineEvent[]
  /** Calls with each new event, after it was kept. Gives the function that ends it. */
  readonly follow: (onEvent: (event: MachineEvent) => void) => () => void
  /** Counters for metrics. */
  readonly counts: () => JournalCounts
}

export interface JournalCounts {
  readonly appended: number
  readonly dropped: number
  readonly bytes: number
}

/** How far each way out has come. */
export interface OutboxState {
  readonly connected: boolean
  /** Events that wait to be sent. */
  readonly depth: number
  readonly published: number
  readonly failures: number
  /** What is wrong with the connection, in words; no secret in it. */
  readonly problem: string | null
}
