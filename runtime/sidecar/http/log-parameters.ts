import type { Plan } from '../../../schema/plan.ts'
import { readCursor } from '../../shared/logs/log-cursor.ts'
import { LOG_LEVELS } from '../../shared/logs/log-level.ts'
import type { LogCursor, LogFilter } from '../../shared/logs/log-store.ts'
import { servicesNamed } from './names.ts'
import { flag, integer, moment, oneOf, type Parameter, type QueryValues, text } from './query.ts'

/** Lines of one answer. */
const MAX_LINES = 10_000

const cursor: Parameter<LogCursor | null> = {
  read: (text) => readCursor(text) ?? undefined,
  fallback: null,
  accepts: 'what an answer gave as "older" or "newer"',
}

/** The parameters that choose lines of logs. */
export function logParameters(nowMs: () => number) {
  return {
    level: oneOf(LOG_LEVELS, null),
    since: moment(nowMs),
    until: moment(nowMs),
    before: cursor,
    after: cursor,
    grep: text(200),
    correlationId: text(128),
    lines: integer({ min: 1, max: MAX_LINES }, null),
    // What the first machines called it.
    limit: integer({ min: 1, max: MAX_LINES }, null),
    follow: flag,
  }
}

export const allServicesParameters = { service: text(200), gpu: integer({ min: 0, max: 1023 }, null) }

type Chosen = QueryValues<ReturnType<typeof logParameters>>

export const DEFAULT_LINES = 100

export function logFilter(query: Chosen, services: readonly string[], gpu: number | null): LogFilter {
  const { level, since, until, before, after, grep, correlationId } = query
  const range = { sinceMs: since, untilMs: until, before, after }
  return { services, gpu, level, ...range, grep, correlationId, lines: linesOf(query) }
}

export function linesOf({ lines, limit }: Pick<Chosen, 'lines' | 'limit'>): number {
  return lines ?? limit ?? DEFAULT_LINES
}

/** The services of `service=`, which may name a bundle or several with commas; empty for all. */
export function chosenServices(plan: Plan, service: string | null): readonly string[] {
  if (service === null) return []
  return [...new Set(service.split(',').flatMap((name) => servicesNamed(plan, name)))]
}
