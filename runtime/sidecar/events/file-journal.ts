import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { MachinePaths } from '../../../schema/plan.ts'
import type { EventDraft, MachineEvent } from '../../shared/machine-event.ts'
import type { EventJournal } from './event-journal.ts'
import { explainGaps } from './explain-gaps.ts'
import { formatRecord, isProgress, type LineHead, numberEvent, type Origin } from './journal-record.ts'
import { createSegmentStore, type JournalBounds } from './segments.ts'

/** Holds 100,000 events and more: what a machine says in half an hour at 50 events a second. */
export const DEFAULT_BOUNDS: JournalBounds = { segmentBytes: 2 * 2 ** 20, totalBytes: 32 * 2 ** 20 }

export interface FileJournalOptions extends Origin {
  readonly paths: Pick<MachinePaths, 'state' | 'run'>
  readonly bounds?: JournalBounds
  readonly nowMs?: () => number
  /** Number up to which events were delivered; those beyond it are lost when the bound takes them. */
  readonly delivered?: () => number
  /** Said once when the disk refuses, and once when it takes events again. */
  readonly onProblem: (problem: string | null) => void
}

/** The journal of a sidecar, with what its makers need beside the contract. */
export interface FileJournal extends EventJournal {
  /** The newest event that was there when the journal was opened: of this boot, an earlier one, or `null`. */
  readonly inherited: MachineEvent | null
  /** Keeps a spooled event with the name of its file. `false`: the disk refuses, and the file must stay. */
  readonly appendSpooled: (draft: EventDraft, spool: string) => boolean
  /** Names of all spool files whose events are kept. */
  readonly spoolNames: () => ReadonlySet<string>
  readonly findLast: (fits: (head: LineHead) => boolean) => number | null
  readonly close: () => void
}

/** Events that are kept in memory beside the disk, for those who follow closely. */
const RECENT_EVENTS = 512

/** What waits in memory while the disk refuses. */
const MAX_UNWRITTEN = 5000

const RETRY_MS = 1000
const MAX_READ = 1000

export function journalDirectory(paths: Pick<MachinePaths, 'state'>): string {
  return `${paths.state}/events`
}

/**
 * Opens the journal below the state directory. Every event is in the hands of the kernel before anybody is told of it: a
 * process that dies loses none, a power cut may cost the last ones.
 */
export function openFileJournal(options: FileJournalOptions): FileJournal {
  const { bounds = DEFAULT_BOUNDS, delivered = () => Number.POSITIVE_INFINITY, nowMs = Date.now, onProblem } = options
  const directory = journalDirectory(options.paths)
  const followers = new Set<(event: MachineEvent) => void>()
  let dropped = 0
  let appended = 0
  const store = createSegmentStore({
    directory,
    bounds,
    delivered,
    onDrop: (count) => {
      dropped += count
    },
  })
  const recovered = attempt(store.recover) ?? { record: null, lastSeq: 0 }
  const mark = openSeqMark(options.paths)
  let lastSeq = Math.max(recovered.lastSeq, mark.read())
  const recent: { event: MachineEvent; line: string }[] = []
  /** How many of the newest in `recent` are not on disk. */
  let unwritten = 0
  let refusedAtMs: number | null = null
  let timer: NodeJS.Timeout | undefined

  const refuse = (error: unknown) => {
    if (refusedAtMs === null) onProblem(`cannot write the journal in "${directory}": ${(error as Error).message}`)
    refusedAtMs = nowMs()
    timer ??= setInterval(flush, RETRY_MS).unref()
  }

  const write = (seq: number, line: string): boolean => {
    try {
      store.write(seq, line)
    } catch (error) {
      refuse(error)
      return false
    }
    if (refusedAtMs !== null) onProblem(null)
    refusedAtMs = null
    return true
  }

  const flush = () => {
    while (unwritten > 0) {
      const { event, line } = recent.at(-unwritten)!
      if (!write(event.seq, line)) return
      unwritten -= 1
    }
    clearInterval(timer)
    timer = undefined
  }

  const trim = () => {
    if (unwritten > MAX_UNWRITTEN) {
      const index = recent.findIndex(({ event }, at) => at >= recent.length - unwritten && isProgress(event))
      recent.splice(index < 0 ? recent.length - unwritten : index, 1)
      unwritten -= 1
      dropped += 1
    }
    if (recent.length - unwritten > 2 * RECENT_EVENTS) recent.splice(0, recent.length - unwritten - RECENT_EVENTS)
  }

  const accept = (record: { event: MachineEvent; line: string }) => {
    lastSeq = record.event.seq
    appended += 1
    recent.push(record)
    trim()
    mark.write(lastSeq)
    for (const follower of [...followers]) attempt(() => follower(record.event))
    return record.event
  }

  const append = (draft: EventDraft): MachineEvent => {
    const record = formatRecord(numberEvent(draft, lastSeq + 1, nowMs(), options), null)
    if (unwritten > 0 && nowMs() - (refusedAtMs ?? 0) >= RETRY_MS) flush()
    const isWritten = unwritten === 0 && write(record.event.seq, record.line)
    if (!isWritten) unwritten += 1
    return accept(record)
  }

  const appendSpooled = (draft: EventDraft, spool: string): boolean => {
    const record = formatRecord(numberEvent(draft, lastSeq + 1, nowMs(), options), spool)
    if (unwritten > 0 || !write(record.event.seq, record.line)) return false
    accept(record)
    return true
  }

  const readRecent = (seq: number, limit: number): MachineEvent[] => {
    const from = firstAfter(recent, seq)
    return recent.slice(from, from + limit).map(({ event }) => event)
  }

  const read = (seq: number, limit: number): MachineEvent[] => {
    if (seq >= lastSeq) return []
    const first = recent[0]?.event.seq ?? Number.POSITIVE_INFINITY
    const storedFirst = store.firstSeq() ?? Number.POSITIVE_INFINITY
    if (first <= Math.max(seq + 1, storedFirst)) return readRecent(seq, limit)
    const stored = attempt(() => store.read(seq, limit)) ?? []
    const rest = limit - stored.length
    return rest === 0 ? stored : [...stored, ...readRecent(stored.at(-1)?.seq ?? seq, rest)]
  }

  return {
    bootId: options.bootId,
    inherited: recovered.record?.event ?? null,
    lastSeq: () => lastSeq,
    firstSeq: () => Math.min(store.firstSeq() ?? lastSeq + 1, recent[0]?.event.seq ?? lastSeq + 1),
    append,
    appendSpooled,
    spoolNames: () => spoolNamesIn(store.texts()),
    findLast: (fits) => attempt(() => store.findLast(fits)) ?? null,
    since: (seq, limit) => {
      const count = Math.min(Math.max(Math.trunc(limit), 0), MAX_READ)
      return explainGaps(seq, read(seq, count)).slice(0, count)
    },
    follow: (onEvent) => {
      const follower = (event: MachineEvent) => onEvent(event)
      followers.add(follower)
      return () => followers.delete(follower)
    },
    counts: () => ({ appended, dropped, bytes: store.bytes() }),
    close: () => {
      if (unwritten > 0) flush()
      clearInterval(timer)
      store.close()
      mark.close()
    },
  }
}

/** Index of the first record with a greater number. */
function firstAfter(records: readonly { readonly event: MachineEvent }[], seq: number): number {
  let [low, high] = [0, records.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (records[middle]!.event.seq > seq) high = middle
    else low = middle + 1
  }
  return low
}

function spoolNamesIn(texts: Iterable<string>): Set<string> {
  const names = new Set<string>()
  for (const text of texts) {
    for (const match of text.matchAll(/"spool":"([^"\\]+)"\}$/gm)) names.add(match[1]!)
  }
  return names
}

/** What cannot be read counts as not there: the journal goes on, and the gap shows. */
function attempt<T>(read: () => T): T | null {
  try {
    return read()
  } catch {
    return null
  }
}

const MARK_LENGTH = 16

/**
 * The last number given out, in a file of fixed length that is written in place, apart from the volume: numbers are given
 * once in a boot even where the volume took none of the events, or was emptied.
 */
function openSeqMark(paths: Pick<MachinePaths, 'run'>) {
  const path = `${paths.run}/journal-seq`
  let descriptor: number | null = null
  attempt(() => {
    mkdirSync(paths.run, { recursive: true })
    descriptor = openSync(path, 'a+', 0o644)
    closeSync(descriptor)
    descriptor = openSync(path, 'r+')
  })
  return {
    read: (): number => {
      const text = attempt(() => readFileSync(path, 'utf8')) ?? ''
      return /^\d{16}$/.test(text) ? Number(text) : 0
    },
    write: (seq: number) => {
      if (descriptor === null) return
      attempt(() => writeSync(descriptor!, String(seq).padStart(MARK_LENGTH, '0'), 0))
    },
    close: () => {
      if (descriptor !== null) closeSync(descriptor)
      descriptor = null
    },
  }
}
