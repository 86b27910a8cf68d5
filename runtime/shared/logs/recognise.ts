import { cleanText, decodeBytes } from './clean-text.ts'
import type { LogEntry } from './group-lines.ts'
import type { LogLine } from './log-store.ts'
import { parseJsonLine, parseLogfmtLine, readFields, readTime, type StructuredLine } from './structured-line.ts'
import { levelOfText } from './text-level.ts'

/** A directory that s6-log writes, and whose lines they are. */
export interface LogSource {
  readonly service: string
  readonly gpu: number | null
  readonly directory: string
  /** Requests that a proxy answered, not what the service itself says. */
  readonly isAccessLog: boolean
}

/** An entry in the one schema; its time is still open where nothing in it says one. */
export type RecognisedLine = Omit<LogLine, 'timestamp'> & { readonly timeMs: number | null }

/** More of a message is of no use to anybody, and an answer has thousands. */
const MAX_MESSAGE_CHARACTERS = 64 * 1024
const HEAD_CHARACTERS = 48 * 1024

/** The application's own time is said only where the logger's differs, because the line came late. */
const LATE_MS = 1000

/**
 * What an entry says, whichever program wrote it. Text stays as it was printed but for colours; of structured lines the
 * message is taken out and the other fields are the context.
 */
export function recognise(entry: LogEntry, source: LogSource): RecognisedLine {
  const text = cleanText(decodeBytes(entry.text))
  const structured = entry.isTrace || entry.cutBytes > 0 ? null : readStructured(text, source)
  return structured === null ? readText(entry, text, source) : readRecord(entry, text, structured, source)
}

function readStructured(text: string, source: LogSource): StructuredLine | null {
  const first = text.charCodeAt(0)
  const fields = first === OPENING_BRACE ? parseJsonLine(text) : parseLogfmtLine(text)
  return fields === null ? null : readFields(withoutSource(fields, source))
}

/** What a line says of where it comes from is told by its place already. */
function withoutSource(fields: Readonly<Record<string, unknown>>, source: LogSource): Record<string, unknown> {
  const { service, gpu, ...others } = fields
  return {
    ...others,
    ...(service === undefined || service === source.service ? {} : { service }),
    ...(gpu === undefined || gpu === null || gpu === source.gpu ? {} : { gpu }),
  }
}

const OPENING_BRACE = 0x7b

function readText(entry: LogEntry, text: string, { service, gpu }: LogSource): RecognisedLine {
  return {
    timeMs: entry.timeMs ?? timeOfText(text),
    level: levelOfText(text.split('\n', 1)[0]!) ?? (entry.isTrace ? 'error' : 'info'),
    service,
    gpu,
    message: shorten(text, entry.cutBytes),
    context: null,
    correlationId: correlationOfText(text),
  }
}

function readRecord(
  entry: LogEntry,
  text: string,
  { timeMs, level, message, context, correlationId }: StructuredLine,
  { service, gpu }: LogSource,
): RecognisedLine {
  const further = isLate(entry.timeMs, timeMs) ? { ...context, time: new Date(timeMs!).toISOString() } : context
  return {
    timeMs: entry.timeMs ?? timeMs,
    level: level ?? levelOfText(message ?? '') ?? 'info',
    service,
    gpu,
    message: shorten(cleanText(message ?? text), 0),
    context: Object.keys(further).length === 0 ? null : further,
    correlationId: correlationId ?? correlationOfText(message ?? ''),
  }
}

function isLate(takenMs: number | null, saidMs: number | null): boolean {
  if (takenMs === null || saidMs === null || Math.abs(saidMs) > MAX_DATE_MS) return false
  return Math.abs(takenMs - saidMs) > LATE_MS
}

const MAX_DATE_MS = 8.64e15

/** `2026-01-31T12:00:00Z …`, `2026/01/31 12:00:00 …`: only needed where the logger adds no time. */
function timeOfText(text: string): number | null {
  const time = /^\[?(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)/.exec(text)
  return time === null ? null : readTime(`${time[1]}-${time[2]}-${time[3]}T${time[4]}`)
}

const CORRELATION = /\b(?:request|prompt|job|correlation|trace|boot)[_-]?id["']?\s?[=:]\s?["']?([\w.:-]{4,128})/i

function correlationOfText(text: string): string | null {
  const start = text.length > 1000 ? text.slice(0, 1000) : text
  return CORRELATION.exec(start)?.[1] ?? null
}

function shorten(text: string, cutBytes: number): string {
  if (text.length <= MAX_MESSAGE_CHARACTERS) return cutBytes === 0 ? text : `${withoutHalf(text)}${mark(cutBytes)}`
  const tail = text.slice(HEAD_CHARACTERS - MAX_MESSAGE_CHARACTERS)
  const left = Buffer.byteLength(text) - Buffer.byteLength(text.slice(0, HEAD_CHARACTERS)) - Buffer.byteLength(tail)
  // A long line says at its start what it is; a long traceback says it at its end.
  const isBlock = text.includes('\n')
  const head = text.slice(0, isBlock ? HEAD_CHARACTERS : MAX_MESSAGE_CHARACTERS)
  if (isBlock) return `${head}\n${mark(left + cutBytes)}\n${tail}`
  return `${head}${mark(Buffer.byteLength(text) - Buffer.byteLength(head) + cutBytes)}`
}

function mark(bytes: number): string {
  return `[... ${bytes} bytes left out]`
}

/** The cut may have gone through a character. */
function withoutHalf(text: string): string {
  return text.replace(/\ufffd{1,3}$/, '')
}

/** `fallbackMs` is for a line that does not say when it was. */
export function toLogLine({ timeMs, ...line }: RecognisedLine, fallbackMs: number): LogLine {
  return { timestamp: isoTime(timeMs ?? fallbackMs), ...line }
}

function isoTime(timeMs: number): string {
  return new Date(Math.max(-MAX_DATE_MS, Math.min(MAX_DATE_MS, timeMs))).toISOString()
}
