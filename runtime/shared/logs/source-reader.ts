import { findEnd, firstTime } from './find-time.ts'
import type { LogEntry } from './group-lines.ts'
import type { LogText } from './log-text.ts'
import type { LineMatcher, ReadEntry } from './match-lines.ts'
import { readBlockBefore } from './read-backward.ts'
import { type LogSource, recognise } from './recognise.ts'

/** A matching entry with the time by which it is ordered. */
export interface TimedEntry extends ReadEntry {
  readonly timeMs: number
}

/** Reads the matching entries of one directory, the newest first, a block at a time. */
export interface SourceReader {
  /** Read and not taken yet, oldest first. */
  readonly pending: TimedEntry[]
  /** What is not read yet is not later; `-Infinity` when all is read. */
  readonly boundMs: () => number
  readonly readBlock: () => Promise<void>
}

export interface SourceReaderOptions {
  readonly source: LogSource
  readonly log: LogText
  readonly matcher: LineMatcher
  /** Entries before this or after that are left out. */
  readonly sinceMs: number
  readonly untilMs: number
}

/** Most questions are about the last lines; who goes on reading reads more at a time. */
const FIRST_BLOCK_BYTES = 16 * 1024
const MAX_BLOCK_BYTES = 64 * 1024

/** The clock of the file system can be behind the logger's by a tick. */
const CLOCK_SLACK_MS = 1000

export function createSourceReader(options: SourceReaderOptions): SourceReader {
  const { source, log, matcher, sinceMs, untilMs } = options
  const pending: TimedEntry[] = []
  const newestMs = (log.parts.at(-1)?.file.endMs ?? Number.NEGATIVE_INFINITY) + CLOCK_SLACK_MS
  let bytes = FIRST_BLOCK_BYTES
  let at: number | null = null
  /** Where the clock was set back, the order of the lines holds, and the later time gives way. */
  let reachedMs = newestMs
  let isDone = newestMs < sinceMs

  const take = (entries: readonly LogEntry[]) => {
    const timed: TimedEntry[] = []
    for (const entry of entries.toReversed()) {
      const line = recognise(entry, source)
      reachedMs = Math.min(reachedMs, line.timeMs ?? reachedMs)
      if (reachedMs >= sinceMs && reachedMs <= untilMs) timed.push({ entry, line, timeMs: reachedMs })
    }
    pending.unshift(...matcher.select(timed.reverse()))
  }

  const readBlock = async () => {
    at ??= untilMs === Number.POSITIVE_INFINITY ? log.end : await findEnd(log, source, untilMs)
    const block = await readBlockBefore(log, at, bytes)
    bytes = Math.min(MAX_BLOCK_BYTES, bytes * 2)
    if (block === null) {
      isDone = true
      return
    }
    at = block.start
    if (matcher.mayMatch(block.text)) take(block.entries())
    else reachedMs = Math.min(reachedMs, firstTime(block.text, source) ?? reachedMs)
    isDone = reachedMs < sinceMs || at <= log.start()
  }

  return { pending, boundMs: () => (isDone ? Number.NEGATIVE_INFINITY : Math.min(reachedMs, untilMs)), readBlock }
}
