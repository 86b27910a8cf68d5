import { createEntryReader } from './entry-reader.ts'
import type { LogPart, LogText } from './log-text.ts'
import { type LogSource, recognise } from './recognise.ts'
import { readStamp } from './stamp.ts'

/** Lines of one file can be a little later than its name says: the logger opens the next before it names the last. */
const NAME_SLACK_MS = 1000
const STAMP_BYTES = 64
const PROBE_BYTES = 20 * 1024
const CLOSE_ENOUGH_BYTES = 64 * 1024

/**
 * A place in the log behind all lines that are not later than `timeMs`, close behind them where lines have times: files are
 * chosen by the times in their names, the place in a file by halving.
 */
export async function findEnd(log: LogText, source: LogSource, timeMs: number): Promise<number> {
  const part = log.parts.find(({ file }) => file.endMs > timeMs + NAME_SLACK_MS)
  if (part === undefined) return log.end
  const isStamped = readStamp(await log.read(part.start, Math.min(part.end, part.start + STAMP_BYTES))) !== null
  // Times that are not the logger's can be long before those in the names of its files.
  return await findEndBetween(log, source, timeMs, isStamped ? part : { start: log.start(), end: log.end })
}

async function findEndBetween(
  log: LogText,
  source: LogSource,
  timeMs: number,
  part: Pick<LogPart, 'start' | 'end'>,
): Promise<number> {
  let earlier = part.start
  let later = part.end
  while (later - earlier > CLOSE_ENOUGH_BYTES) {
    const middle = earlier + Math.floor((later - earlier) / 2)
    const text = await log.read(middle, Math.min(later, middle + PROBE_BYTES))
    const lineStart = text.indexOf('\n') + 1
    const lineMs = lineStart === 0 ? null : firstTime(text.slice(lineStart), source)
    if (lineMs === null) break
    if (lineMs > timeMs) later = middle
    else earlier = middle
  }
  // An entry that began before may have lines behind: they are read along, and its end is where a line ends.
  const margin = await log.read(later, Math.min(part.end, later + CLOSE_ENOUGH_BYTES))
  const lastBreak = margin.lastIndexOf('\n') + 1
  return lastBreak === 0 ? part.end : later + lastBreak
}

/** The time of the first line of a text that has one; `null` where none near its start has. */
export function firstTime(text: string, source: LogSource): number | null {
  const reader = createEntryReader()
  const end = text.indexOf('\n', Math.min(text.length, FIRST_TIME_BYTES))
  const start = end === -1 ? text : text.slice(0, end + 1)
  for (const entry of [...reader.push(start), ...reader.end()]) {
    const timeMs = entry.timeMs ?? recognise(entry, source).timeMs
    if (timeMs !== null) return timeMs
  }
  return null
}

const FIRST_TIME_BYTES = 4096
