import type { LogCursor, LogFilter, LogLine, LogPage } from './log-store.ts'
import type { LogText } from './log-text.ts'
import { createLineMatcher, type LineMatcher } from './match-lines.ts'
import { type LogSource, toLogLine } from './recognise.ts'
import type { Redactor } from './redact.ts'
import { redactLine } from './redact-line.ts'
import { createSourceReader, type SourceReader, type TimedEntry } from './source-reader.ts'

/** A source with its files as of the moment of the question. */
export interface OpenSource {
  readonly source: LogSource
  readonly log: LogText
}

export interface QueryOptions {
  readonly redactor: Redactor
  /** When the search ends with what it has, ms as of performance.now(). */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

/** An answer is in memory as a whole, twice. */
const MAX_PAGE_BYTES = 8 * 1024 * 1024
/** Lines of exactly one time, as only an access log has them; more are not told apart. */
const MAX_TIES = 20_000

/** The newest lines of all sources that the filter lets pass, merged by time. The caller closes the sources. */
export async function queryLogs(
  sources: readonly OpenSource[],
  filter: LogFilter,
  options: QueryOptions,
): Promise<LogPage> {
  const matcher = createLineMatcher(filter)
  const sinceMs = Math.max(filter.sinceMs ?? -Infinity, filter.after?.timeMs ?? -Infinity)
  const untilMs = Math.min(filter.untilMs ?? Infinity, filter.before?.timeMs ?? Infinity)
  const readers = sources.map(({ source, log }) => createSourceReader({ source, log, matcher, sinceMs, untilMs }))
  const page = createPage(filter, matcher, options.redactor)
  while (!page.isFull()) {
    const ties = await takeNewest(readers, options)
    if (ties === null) return page.finish(null)
    if ('stoppedAtMs' in ties) return page.finish({ timeMs: ties.stoppedAtMs, count: null })
    page.add(ties.entries)
  }
  return page.finish(page.place())
}

type Newest = { readonly entries: TimedEntry[] } | { readonly stoppedAtMs: number } | null

/** All entries of the newest time that is left, oldest first; `null` when none is left. */
async function takeNewest(readers: readonly SourceReader[], options: QueryOptions): Promise<Newest> {
  const entries: TimedEntry[] = []
  for (;;) {
    const reader = newestReader(readers)
    const headMs = reader === null ? -Infinity : headOf(reader)
    const timeMs = entries[0]?.timeMs
    if (timeMs !== undefined && (headMs < timeMs || entries.length >= MAX_TIES)) return { entries: entries.reverse() }
    if (reader === null || headMs === -Infinity) return null
    const entry = reader.pending.pop()
    if (entry !== undefined) entries.push(entry)
    else if (isOver(options)) return { stoppedAtMs: timeMs ?? headMs }
    else await reader.readBlock()
  }
}

function isOver({ deadlineMs, signal }: QueryOptions): boolean {
  return signal?.aborted === true || performance.now() > deadlineMs
}

function headOf({ pending, boundMs }: SourceReader): number {
  return pending.at(-1)?.timeMs ?? boundMs()
}

/** At the same time, one that must be read first comes first; then the last in the order of the sources. */
function newestReader(readers: readonly SourceReader[]): SourceReader | null {
  let newest: SourceReader | null = null
  let newestMs = -Infinity
  for (const reader of readers) {
    const headMs = headOf(reader)
    if (headMs > newestMs || (headMs === newestMs && newest?.pending.length !== 0)) {
      newest = reader
      newestMs = headMs
    }
  }
  return newest
}

/** Collects the lines of an answer, the newest first. */
function createPage(filter: LogFilter, matcher: LineMatcher, redactor: Redactor) {
  const lines: LogLine[] = []
  let bytes = 0
  let place: LogCursor | null = null
  let newer: LogCursor | null = null

  const addOne = (entry: TimedEntry, ordinal: number) => {
    newer ??= { timeMs: entry.timeMs, count: ordinal + 1 }
    place = { timeMs: entry.timeMs, count: ordinal }
    const line = redactLine(entry.line, redactor)
    // What is hidden cannot be searched for either.
    if (line !== entry.line && !matcher.matches(line)) return
    lines.push(toLogLine(line, entry.timeMs))
    bytes += entry.entry.text.length
  }
  const isFull = () => lines.length >= filter.lines || bytes > MAX_PAGE_BYTES

  return {
    isFull,
    place: () => place,
    add: (ties: readonly TimedEntry[]) => {
      const { from, to } = tiesInRange(filter, ties)
      for (let ordinal = to - 1; ordinal >= from && !isFull(); ordinal -= 1) addOne(ties[ordinal]!, ordinal)
    },
    finish: (older: LogCursor | null): LogPage => ({
      lines: lines.toReversed(),
      isPartial: older !== null && lines.length < filter.lines,
      older,
      newer,
    }),
  }
}

/** Which of the entries of one time lie on the right side of the filter's cursors. */
function tiesInRange({ before, after }: LogFilter, ties: readonly TimedEntry[]): { from: number; to: number } {
  const timeMs = ties[0]!.timeMs
  const from = after?.timeMs === timeMs ? (after.count ?? ties.length) : 0
  const to = before?.timeMs === timeMs ? Math.min(before.count ?? ties.length, ties.length) : ties.length
  return { from, to }
}
