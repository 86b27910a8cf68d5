import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { writeFileAtomically } from '../../shared/atomic-file.ts'
import type { MachineEvent } from '../../shared/machine-event.ts'
import { isProgressLine, type JournalRecord, type LineHead, readHead, readRecord } from './journal-record.ts'
import { type ReadingPlaces, readAfter } from './read-segments.ts'

export interface JournalBounds {
  /** A new file is begun at this size. */
  readonly segmentBytes: number
  /** All files together; one more segment than this may exist for a moment. */
  readonly totalBytes: number
}

export interface SegmentStoreOptions {
  readonly directory: string
  readonly bounds: JournalBounds
  /** Number up to which all events were delivered: only those may go without being counted as lost. */
  readonly delivered: () => number
  /** Called with the count of undelivered events that the bound cost. */
  readonly onDrop: (count: number) => void
}

/** The files of the journal. All calls are synchronous; those that write throw where the disk refuses. */
export interface SegmentStore {
  /** The newest whole record, and a number that no kept or torn record exceeds. Torn lines are cut off. */
  readonly recover: () => { readonly record: JournalRecord | null; readonly lastSeq: number }
  readonly write: (seq: number, line: string) => void
  /** Up to `limit` events with a greater number than `seq`, oldest first. */
  readonly read: (seq: number, limit: number) => MachineEvent[]
  /** The number of the newest record whose line fits. */
  readonly findLast: (fits: (head: LineHead) => boolean) => number | null
  /** Every line, newest file first; for rare questions. */
  readonly texts: () => Generator<string>
  /** Number of the oldest record, `null` for an empty store. */
  readonly firstSeq: () => number | null
  readonly bytes: () => number
  readonly close: () => void
}

interface Segment {
  readonly path: string
  readonly firstSeq: number
  bytes: number
  isThinned: boolean
}

const NAME = /^(\d{16})\.ndjson$/
const FILE_MODE = 0o644
const NEWLINE = 10

export function createSegmentStore({ directory, bounds, delivered, onDrop }: SegmentStoreOptions): SegmentStore {
  let segments: Segment[] = []
  let active: number | null = null
  const places: ReadingPlaces = new Map()

  const closeActive = () => {
    if (active !== null) closeSync(active)
    active = null
  }

  const open = (seq: number, isNew: boolean) => {
    closeActive()
    mkdirSync(directory, { recursive: true })
    const last = segments.at(-1)
    if (last !== undefined && !isNew) {
      active = openSync(last.path, 'a', FILE_MODE)
      last.bytes = fstatSync(active).size
      return last
    }
    const path = `${directory}/${String(seq).padStart(16, '0')}.ndjson`
    active = openSync(path, 'a', FILE_MODE)
    const segment = { path, firstSeq: seq, bytes: fstatSync(active).size, isThinned: false }
    segments = [...segments.filter((other) => other.path !== path), segment]
    return segment
  }

  const remove = (segment: Segment) => {
    rmSync(segment.path, { force: true })
    segments = segments.filter((other) => other !== segment)
    places.clear()
  }

  const enforceBound = () => {
    while (segments.length > 1 && totalBytes(segments) > bounds.totalBytes) {
      const [oldest, second] = segments as [Segment, Segment]
      const lastSeq = second.firstSeq - 1
      const next = lastSeq <= delivered() ? undefined : segments.slice(0, -1).find((segment) => !segment.isThinned)
      if (next === undefined) {
        if (lastSeq > delivered()) onDrop(countAfter(delivered(), linesOf(oldest)))
        remove(oldest)
      } else {
        onDrop(countAfter(delivered(), thin(next)))
        places.clear()
      }
    }
  }

  return {
    recover: () => {
      segments = listSegments(directory)
      const named = (segments.at(-1)?.firstSeq ?? 1) - 1
      for (const segment of [...segments].reverse()) {
        const { record, bytes } = repair(segment)
        segment.bytes = bytes
        if (record !== null) return { record, lastSeq: Math.max(named, record.event.seq) }
      }
      return { record: null, lastSeq: named }
    },
    write: (seq, line) => {
      const isGone = active !== null && fstatSync(active).nlink === 0
      const isFull = (segments.at(-1)?.bytes ?? 0) + line.length > bounds.segmentBytes
      if (isGone) segments = segments.filter(({ path }) => statSync(path, { throwIfNoEntry: false }) !== undefined)
      if (active === null || isGone || isFull) open(seq, isGone || isFull || segments.length === 0)
      if (isFull) enforceBound()
      const segment = segments.at(-1)!
      segment.bytes += writeWhole(active!, line, segment.bytes)
    },
    read: (seq, limit) => readAfter(segments, places, seq, limit),
    findLast: (fits) => {
      for (const text of textsOf(segments)) {
        const lines = text.split('\n')
        for (const line of lines.reverse()) {
          const head = readHead(line)
          if (head !== null && fits(head)) return head.seq
        }
      }
      return null
    },
    texts: () => textsOf(segments),
    firstSeq: () => segments[0]?.firstSeq ?? null,
    bytes: () => totalBytes(segments),
    close: closeActive,
  }
}

function totalBytes(segments: readonly Segment[]): number {
  return segments.reduce((sum, { bytes }) => sum + bytes, 0)
}

function listSegments(directory: string): Segment[] {
  try {
    return readdirSync(directory)
      .filter((name) => NAME.test(name))
      .sort()
      .map((name) => {
        const path = `${directory}/${name}`
        const bytes = statSync(path).size
        return { path, firstSeq: Number(NAME.exec(name)![1]), bytes, isThinned: false }
      })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Finds the last whole record of a file, and cuts off what a crash or a power cut left behind it. */
function repair({ path, bytes: size }: Segment): { record: JournalRecord | null; bytes: number } {
  const content = readFileSync(path)
  let end = content.lastIndexOf(NEWLINE) + 1
  let record: JournalRecord | null = null
  while (end > 0 && record === null) {
    const start = content.lastIndexOf(NEWLINE, end - 2) + 1
    record = readRecord(content.toString('utf8', start, end))
    if (record === null) end = start
  }
  if (end < size) truncate(path, end)
  return { record, bytes: end }
}

function truncate(path: string, bytes: number): void {
  const descriptor = openSync(path, 'r+')
  try {
    ftruncateSync(descriptor, bytes)
  } finally {
    closeSync(descriptor)
  }
}

/** Writes a line whole or not at all; gives its bytes. A disk that fills up in the middle of it takes a part. */
function writeWhole(descriptor: number, line: string, sizeBefore: number): number {
  const bytes = Buffer.from(line)
  let written = 0
  try {
    written = writeSync(descriptor, bytes)
    if (written === bytes.length) return written
  } catch (error) {
    ftruncateSync(descriptor, sizeBefore)
    throw error
  }
  ftruncateSync(descriptor, sizeBefore)
  throw Object.assign(new Error('ENOSPC: only a part of a line could be written'), { code: 'ENOSPC' })
}

/** Takes the progress events out of a file; gives their lines. A disk that is full for that loses nothing. */
function thin(segment: Segment): string[] {
  segment.isThinned = true
  const lines = linesOf(segment)
  const kept = lines.filter((line) => !isProgressLine(line))
  if (kept.length === lines.length) return []
  const content = kept.map((line) => `${line}\n`).join('')
  try {
    writeFileAtomically(segment.path, content, FILE_MODE)
  } catch {
    return []
  }
  segment.bytes = Buffer.byteLength(content)
  return lines.filter(isProgressLine)
}

function linesOf({ path }: Segment): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(0, -1)
  } catch {
    return []
  }
}

function countAfter(seq: number, lines: readonly string[]): number {
  return lines.filter((line) => (readHead(line)?.seq ?? 0) > seq).length
}

function* textsOf(segments: readonly Segment[]): Generator<string> {
  for (const { path } of [...segments].reverse()) {
    try {
      yield readFileSync(path, 'utf8')
    } catch {
      // Somebody removed it: its events are a gap.
    }
  }
}
