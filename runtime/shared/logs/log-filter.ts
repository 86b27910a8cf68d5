import { readCursor } from './log-cursor.ts'
import { LOG_LEVELS, levelOfName } from './log-level.ts'
import type { LogBound, LogFilter, LogGrep } from './log-store.ts'

export const DEFAULT_LINES = 100
export const MAX_LINES = 10_000
const MAX_GREP_LENGTH = 256
const MAX_SERVICES = 64

export type FilterParameter = 'service' | 'gpu' | 'level' | 'since' | 'until' | 'lines' | 'grep'

/** What was asked for, by parameter; several services in one text, with commas between. */
export type FilterParameters = Readonly<Partial<Record<FilterParameter, string | undefined>>>

export type ParsedFilter = { readonly filter: LogFilter } | { readonly problem: string }

/** A filter from texts as they stand in an address or on a command line; `problem` says which one is wrong, and why. */
export function parseLogFilter(parameters: FilterParameters, nowMs: number): ParsedFilter {
  try {
    return {
      filter: {
        services: readServices(parameters.service),
        gpu: given(parameters.gpu) ? readCount('gpu', parameters.gpu, 0, 1023) : null,
        level: given(parameters.level) ? readLevel(parameters.level) : null,
        since: given(parameters.since) ? readBound('since', parameters.since, nowMs) : null,
        until: given(parameters.until) ? readBound('until', parameters.until, nowMs) : null,
        lines: given(parameters.lines) ? readCount('lines', parameters.lines, 0, MAX_LINES) : DEFAULT_LINES,
        grep: given(parameters.grep) ? readGrep(parameters.grep) : null,
      },
    }
  } catch (error) {
    if (error instanceof Unusable) return { problem: error.message }
    throw error
  }
}

class Unusable extends Error {}

function given(text: string | undefined): text is string {
  return text !== undefined && text !== ''
}

function unusable(name: FilterParameter, text: string, why: string): never {
  throw new Unusable(`cannot use ${JSON.stringify(text.slice(0, 100))} as "${name}": ${why}`)
}

function readServices(text: string | undefined): string[] | null {
  if (!given(text)) return null
  const names = [...new Set(text.split(',').filter((name) => name !== ''))]
  if (names.length > MAX_SERVICES) unusable('service', text, `more than ${MAX_SERVICES} names`)
  return names.length === 0 ? null : names
}

function readCount(name: FilterParameter, text: string, minimum: number, maximum: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= minimum && value <= maximum)) unusable(name, text, `not a whole number from ${minimum} to ${maximum}`)
  return value
}

function readLevel(text: string): LogFilter['level'] {
  return levelOfName(text) ?? unusable('level', text, `the levels are ${LOG_LEVELS.join(', ')}`)
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

function readBound(name: FilterParameter, text: string, nowMs: number): LogBound {
  const duration = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text)
  if (duration !== null) return { timeMs: nowMs - Number(duration[1]) * UNIT_MS[duration[2]!]! }
  const cursor = readCursor(text)
  if (cursor !== null) return { cursor }
  // In an address, the plus of "+02:00" arrives as a space.
  const timeMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text.replace(/ (\d\d:?\d\d)$/, '+$1')) : Number.NaN
  if (Number.isNaN(timeMs)) {
    unusable(name, text, 'neither a time ("2026-01-31T12:00:00Z") nor a duration ("10m") nor a cursor')
  }
  return { timeMs }
}

/** `/pattern/` and `/pattern/i` are patterns, everything else is text. */
function readGrep(text: string): LogGrep {
  if (text.length > MAX_GREP_LENGTH) unusable('grep', text, `longer than ${MAX_GREP_LENGTH} characters`)
  const pattern = /^\/(.+)\/([is]*)$/s.exec(text)
  if (pattern === null) return { kind: 'text', text }
  const [, source = '', flags = ''] = pattern
  try {
    new RegExp(source, flags)
  } catch (error) {
    unusable('grep', text, (error as Error).message)
  }
  return { kind: 'pattern', source, flags }
}
