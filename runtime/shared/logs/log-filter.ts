import { readCursor } from './log-cursor.ts'
import { LOG_LEVELS, levelOfName } from './log-level.ts'
import type { LogCursor, LogFilter } from './log-store.ts'

export const DEFAULT_LINES = 100
export const MAX_LINES = 10_000
const MAX_GREP_LENGTH = 256
const MAX_SERVICES = 64

export type FilterParameter =
  | 'service'
  | 'gpu'
  | 'level'
  | 'since'
  | 'until'
  | 'lines'
  | 'grep'
  | 'after'
  | 'before'
  | 'correlationId'

/** What was asked for, by parameter; several services in one text, with commas between. */
export type FilterParameters = Readonly<Partial<Record<FilterParameter, string | null | undefined>>>

export type ParsedFilter = { readonly filter: LogFilter } | { readonly problem: string }

/**
 * A filter from texts as they stand in an address or on a command line; `problem` says which one is wrong, and why. `since`
 * and `until` are times (ISO 8601) or durations (`10m`: that long ago), or cursors as `after` and `before`; `grep` is text,
 * or a pattern between slashes (`/out of memory/i`).
 */
export function parseLogFilter(parameters: FilterParameters, nowMs: number): ParsedFilter {
  const text = (name: FilterParameter) => parameters[name] || null
  const read = <T>(name: FilterParameter, reader: (name: FilterParameter, text: string) => T): T | null => {
    const value = text(name)
    return value === null ? null : reader(name, value)
  }
  const place = (name: FilterParameter, value: string) => readPlace(name, value, nowMs)
  try {
    const since = read('since', place)
    const until = read('until', place)
    return {
      filter: {
        services: read('service', readServices) ?? [],
        gpu: read('gpu', (name, value) => readCount(name, value, 1023)),
        level: read('level', readLevel),
        sinceMs: since?.timeMs ?? null,
        untilMs: until?.timeMs ?? null,
        after: read('after', requireCursor) ?? since?.cursor ?? null,
        before: read('before', requireCursor) ?? until?.cursor ?? null,
        ...readGrep(read('grep', (name, value) => limitLength(name, value))),
        correlationId: read('correlationId', (name, value) => limitLength(name, value)),
        lines: read('lines', (name, value) => readCount(name, value, MAX_LINES)) ?? DEFAULT_LINES,
      },
    }
  } catch (error) {
    if (error instanceof Unusable) return { problem: error.message }
    throw error
  }
}

class Unusable extends Error {}

function unusable(name: FilterParameter, text: string, why: string): never {
  throw new Unusable(`cannot use ${JSON.stringify(text.slice(0, 100))} as "${name}": ${why}`)
}

function readServices(name: FilterParameter, text: string): string[] {
  const names = [...new Set(text.split(',').filter((part) => part !== ''))]
  if (names.length > MAX_SERVICES) unusable(name, text, `more than ${MAX_SERVICES} names`)
  return names
}

function readCount(name: FilterParameter, text: string, maximum: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (!(value <= maximum)) unusable(name, text, `not a whole number from 0 to ${maximum}`)
  return value
}

function readLevel(name: FilterParameter, text: string): LogFilter['level'] {
  return levelOfName(text) ?? unusable(name, text, `the levels are ${LOG_LEVELS.join(', ')}`)
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

interface Place {
  readonly timeMs: number | null
  readonly cursor: LogCursor | null
}

function readPlace(name: FilterParameter, text: string, nowMs: number): Place {
  const duration = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text)
  if (duration !== null) return { timeMs: nowMs - Number(duration[1]) * UNIT_MS[duration[2]!]!, cursor: null }
  const cursor = readCursor(text)
  if (cursor !== null) return { timeMs: null, cursor }
  // In an address, the plus of "+02:00" arrives as a space.
  const timeMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text.replace(/ (\d\d:?\d\d)$/, '+$1')) : Number.NaN
  if (Number.isNaN(timeMs)) {
    unusable(name, text, 'neither a time ("2026-01-31T12:00:00Z") nor a duration ("10m") nor a cursor')
  }
  return { timeMs, cursor: null }
}

function requireCursor(name: FilterParameter, text: string): LogCursor {
  return readCursor(text) ?? unusable(name, text, 'not a cursor that an answer has given')
}

function limitLength(name: FilterParameter, text: string): string {
  if (text.length > MAX_GREP_LENGTH) unusable(name, text, `longer than ${MAX_GREP_LENGTH} characters`)
  return text
}

function readGrep(text: string | null): Pick<LogFilter, 'grep' | 'pattern'> {
  const parts = text === null ? null : /^\/(.+)\/(i?)$/s.exec(text)
  if (parts === null) return { grep: text, pattern: null }
  try {
    return { grep: null, pattern: new RegExp(parts[1]!, parts[2]) }
  } catch (error) {
    unusable('grep', text!, (error as Error).message)
  }
}
