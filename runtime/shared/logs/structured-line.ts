import { type LogLevel, levelOfName, levelOfNumber } from './log-level.ts'
import { levelOfStatus } from './text-level.ts'

type Fields = Readonly<Record<string, unknown>>

/** What a structured line says, in the terms of the one schema. */
export interface StructuredLine {
  readonly timeMs: number | null
  readonly level: LogLevel | null
  readonly message: string | null
  /** All fields that are not said by the others. */
  readonly context: Readonly<Record<string, unknown>>
  readonly correlationId: string | null
}

/** Names by which loggers call the same field; of several the first that a line has counts. */
const TIME_FIELDS = ['timestamp', 'time', 'ts', '@timestamp', 'asctime', 'datetime']
const LEVEL_FIELDS = ['level', 'severity', 'levelname', 'lvl', 'log.level', 'loglevel']
/** `event` is structlog's. */
const MESSAGE_FIELDS = ['message', 'msg', 'event']

const CORRELATION_FIELDS = [
  ...['correlationId', 'correlation_id', 'requestId', 'request_id', 'reqId', 'req_id', 'traceId', 'trace_id'],
  ...['jobId', 'job_id', 'promptId', 'prompt_id', 'bootId', 'boot_id'],
]

/** The JSON object that a line is; `null` where it is none. */
export function parseJsonLine(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null
  } catch {
    return null
  }
}

/**
 * Reads the fields as pino, winston, bunyan, zap, logrus, structlog, python-json-logger, tracing and nginx's access log of
 * this machine write them.
 */
export function readFields(fields: Fields): StructuredLine {
  const rest: Record<string, unknown> = { ...fields }
  const time = takeFirst(rest, TIME_FIELDS, readTime)
  const level = takeFirst(rest, LEVEL_FIELDS, readLevel)
  const message = takeFirst(rest, MESSAGE_FIELDS, readMessage) ?? tracingMessage(rest)
  const correlationId = takeFirst(rest, ['correlationId', 'correlation_id'], readId)
  const context = mergeContext(rest)
  const request = message === null ? describeRequest(context) : null
  return {
    timeMs: time,
    level: level ?? request?.level ?? null,
    message: message ?? request?.message ?? null,
    context,
    correlationId: correlationId ?? findCorrelation(context),
  }
}

function takeFirst<T>(fields: Record<string, unknown>, names: readonly string[], read: (value: unknown) => T | null) {
  for (const name of names) {
    if (!Object.hasOwn(fields, name)) continue
    const value = read(fields[name])
    if (value === null) continue
    delete fields[name]
    return value
  }
  return null
}

/** ISO 8601, python's variant of it with a comma, or a number since 1970 of which the size tells the unit. */
export function readTime(value: unknown): number | null {
  if (typeof value === 'number') return readEpoch(value)
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d/.test(value)) return null
  const timeMs = Date.parse(value.replace(',', '.'))
  return Number.isNaN(timeMs) ? null : timeMs
}

function readEpoch(value: number): number | null {
  if (!(value > 1e8)) return null
  return value < 1e11 ? value * 1000 : value < 1e14 ? value : value < 1e17 ? value / 1e3 : value / 1e6
}

function readLevel(value: unknown): LogLevel | null {
  if (typeof value === 'number') return levelOfNumber(value)
  return typeof value === 'string' ? levelOfName(value) : null
}

function readMessage(value: unknown): string | null {
  if (typeof value === 'string') return value
  return value === null || value === undefined ? null : JSON.stringify(value)
}

/** Rust's tracing keeps the message among the fields of the event. */
function tracingMessage(rest: Record<string, unknown>): string | null {
  const { fields } = rest
  if (!isObject(fields) || typeof fields.message !== 'string') return null
  const { message, ...others } = fields
  delete rest.fields
  Object.assign(rest, others)
  return fields.message
}

function mergeContext(rest: Record<string, unknown>): Record<string, unknown> {
  const { context, ...others } = rest
  return isObject(context) ? { ...others, ...context } : rest
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function readId(value: unknown): string | null {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : null
}

function findCorrelation(context: Fields): string | null {
  for (const name of CORRELATION_FIELDS) {
    const id = Object.hasOwn(context, name) ? readId(context[name]) : null
    if (id !== null) return id
  }
  const { req, request, job } = context
  for (const holder of [req, request, job]) {
    const id = isObject(holder) ? readId(holder.id) : null
    if (id !== null) return id
  }
  return null
}

/** A line of an access log has no message of its own. */
function describeRequest({ method, path, status }: Fields): { message: string; level: LogLevel } | null {
  if (typeof method !== 'string' || typeof path !== 'string' || typeof status !== 'number') return null
  return { message: `${method} ${path} ${status}`, level: levelOfStatus(status) }
}

/** `time=… level=INFO msg="…" key=value` as Go's slog and logrus write it (Ollama); `null` where the line is not like that. */
export function parseLogfmtLine(text: string): Fields | null {
  if (!/^(?:time|ts|t|level|lvl|msg)=/.test(text)) return null
  const fields: Record<string, unknown> = {}
  for (const [, name, quoted, plain] of text.matchAll(/([A-Za-z_][\w.@-]*)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g)) {
    fields[name!] = quoted === undefined ? plain : unquote(quoted)
  }
  return Object.hasOwn(fields, 'msg') || Object.hasOwn(fields, 'level') ? fields : null
}

function unquote(text: string): string {
  if (!text.includes('\\')) return text
  try {
    return JSON.parse(`"${text}"`) as string
  } catch {
    return text
  }
}
