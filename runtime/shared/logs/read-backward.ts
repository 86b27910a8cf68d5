import { createEntryReader } from './entry-reader.ts'
import type { LogEntry } from './group-lines.ts'
import { isSureStart } from './line-kind.ts'
import type { LogText } from './log-text.ts'
import { readStamp } from './stamp.ts'

/** Entries that lie one after the other in a log, from `start` on. */
export interface LogBlock {
  readonly start: number
  /** As it is in the file; what a long line has too much may be missing. */
  readonly text: string
  readonly entries: () => LogEntry[]
}

/** A place where an entry surely begins is looked for this far back; behind that any line will do. */
const MAX_LOOK_BACK_BYTES = 8 * 1024 * 1024
const PORTION_BYTES = 128 * 1024

/**
 * The block of whole entries that ends at `end`: about `bytes` of the log, more where one entry is longer. `null` at the
 * start of the log. The same entries come out wherever the blocks begin and end.
 */
export async function readBlockBefore(log: LogText, end: number, bytes: number): Promise<LogBlock | null> {
  if (end <= log.start()) return null
  const from = Math.max(log.start(), end - bytes)
  const text = await log.read(from, end)
  // A file that was gone has moved the start.
  const first = Math.max(from, log.start())
  if (first >= end) return null
  const known = text.slice(first - from)
  const offset = first === log.start() ? 0 : findSureStart(known)
  if (offset === null) return await readLongBlock(log, first, end)
  const blockText = known.slice(offset)
  return { start: first + offset, text: blockText, entries: () => readEntries(blockText) }
}

function readEntries(text: string): LogEntry[] {
  const reader = createEntryReader()
  return [...reader.push(text), ...reader.end()]
}

/** The first place in a text, which may begin and end in the middle of a line, where an entry surely begins. */
function findSureStart(text: string): number | null {
  let previousStart = text.indexOf('\n') + 1
  if (previousStart === 0) return null
  for (;;) {
    const lineStart = text.indexOf('\n', previousStart) + 1
    const lineEnd = text.indexOf('\n', lineStart)
    if (lineStart === 0 || lineEnd === -1) return null
    const previous = withoutStamp(text.slice(previousStart, lineStart - 1))
    if (isSureStart(previous, withoutStamp(text.slice(lineStart, lineEnd)))) return lineStart
    previousStart = lineStart
  }
}

function withoutStamp(line: string): string {
  return line.slice(readStamp(line)?.length ?? 0)
}

/** Finds the start first and reads forward from there, so that a line of megabytes is never in memory as a whole. */
async function readLongBlock(log: LogText, from: number, end: number): Promise<LogBlock | null> {
  const start = await findStartBefore(log, from, end)
  const reader = createEntryReader()
  const entries: LogEntry[] = []
  let text = ''
  for (let at = start; at < end; at += PORTION_BYTES) {
    const portion = await log.read(at, Math.min(end, at + PORTION_BYTES))
    if (text.length < PORTION_BYTES) text += portion
    entries.push(...reader.push(portion))
  }
  entries.push(...reader.end())
  return { start, text, entries: () => entries }
}

async function findStartBefore(log: LogText, from: number, end: number): Promise<number> {
  const limit = Math.max(log.start(), end - MAX_LOOK_BACK_BYTES)
  for (let to = from; to > limit; to -= PORTION_BYTES) {
    const start = Math.max(limit, to - PORTION_BYTES)
    // The last line of a portion is only whole, and the line after it only there, with some of the next portion.
    const text = await log.read(start, Math.min(end, to + OVERLAP_BYTES))
    if (start <= log.start()) return log.start()
    const offset = findSureStart(text)
    if (offset !== null) return start + offset
    if (start === limit) return start + text.indexOf('\n') + 1
  }
  return Math.max(log.start(), from)
}

const OVERLAP_BYTES = 20 * 1024
