import type { AccessEntry } from './access-line.ts'
import { NO_ROUTE, OTHER_ROUTE } from './access-routes.ts'
import { bucketsOf, emptyHistogram, type Histogram, observeValue } from './histogram.ts'

/** From a status request to an image that takes minutes. */
export const REQUEST_BUCKETS = bucketsOf(0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300)

/** The codes that are told apart; any other one is counted as its class, `4xx`. */
const CODES = new Set([
  101, 200, 201, 202, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 408, 409, 413, 416, 422, 429, 499,
  500, 501, 502, 503, 504,
])

const CLASSES = new Set(['1xx', '2xx', '3xx', '4xx', '5xx'])

/** All that was counted of the requests of one route. */
export interface RouteTotals {
  /** By status code. */
  readonly codes: Map<string, number>
  /** By class of status: `2xx`. An open websocket is a request of class `1xx` that takes hours. */
  readonly durations: Map<string, Histogram>
  bytesReceived: number
  bytesSent: number
}

/** Counters of nginx's requests. Their number is bounded by the plan, whatever clients and services send. */
export interface AccessTotals {
  readonly routes: Map<string, RouteTotals>
  malformedLines: number
  /** How often lines were rotated away before they were read. */
  gaps: number
}

export function emptyAccessTotals(): AccessTotals {
  return { routes: new Map(), malformedLines: 0, gaps: 0 }
}

/** Counts one request; `known` are the routes of the plan. */
export function countAccess(totals: AccessTotals, known: ReadonlySet<string>, entry: AccessEntry): void {
  const { status, seconds, bytesReceived, bytesSent } = entry
  const route = routeTotals(totals, routeLabel(known, entry.route))
  const [code, statusClass] = [codeLabel(status), classLabel(status)]
  route.codes.set(code, (route.codes.get(code) ?? 0) + 1)
  let durations = route.durations.get(statusClass)
  if (durations === undefined) {
    durations = emptyHistogram(REQUEST_BUCKETS)
    route.durations.set(statusClass, durations)
  }
  observeValue(REQUEST_BUCKETS, durations, seconds)
  route.bytesReceived += bytesReceived
  route.bytesSent += bytesSent
}

function routeTotals({ routes }: AccessTotals, label: string): RouteTotals {
  const found = routes.get(label)
  if (found !== undefined) return found
  const made: RouteTotals = { codes: new Map(), durations: new Map(), bytesReceived: 0, bytesSent: 0 }
  routes.set(label, made)
  return made
}

function routeLabel(known: ReadonlySet<string>, route: string): string {
  if (route === '') return NO_ROUTE
  return known.has(route) ? route : OTHER_ROUTE
}

function codeLabel(status: number): string {
  return CODES.has(status) ? String(status) : classLabel(status)
}

function classLabel(status: number): string {
  return `${Math.floor(status / 100)}xx`
}

/** The totals as JSON data. */
export function dumpAccessTotals({ routes, malformedLines, gaps }: AccessTotals): object {
  const dumped = [...routes].map(([route, { codes, durations, bytesReceived, bytesSent }]) => [
    route,
    { codes: Object.fromEntries(codes), durations: Object.fromEntries(durations), bytesReceived, bytesSent },
  ])
  return { routes: Object.fromEntries(dumped), malformedLines, gaps }
}

/** The totals that `dumpAccessTotals` gave, without routes that the plan has no more. Throws on other data. */
export function restoreAccessTotals(data: unknown, known: ReadonlySet<string>): AccessTotals {
  const { routes, malformedLines, gaps } = data as { routes: object; malformedLines: unknown; gaps: unknown }
  const restored = emptyAccessTotals()
  restored.malformedLines = count(malformedLines)
  restored.gaps = count(gaps)
  for (const [route, dumped] of Object.entries(routes)) {
    if (!known.has(route)) continue
    const totals = routeTotals(restored, route)
    for (const [code, value] of Object.entries(dumped.codes)) {
      if (CODES.has(Number(code)) || CLASSES.has(code)) totals.codes.set(code, count(value))
    }
    for (const [statusClass, value] of Object.entries(dumped.durations)) {
      if (CLASSES.has(statusClass)) totals.durations.set(statusClass, restoreHistogram(value as Histogram))
    }
    totals.bytesReceived = count(dumped.bytesReceived)
    totals.bytesSent = count(dumped.bytesSent)
  }
  return restored
}

function restoreHistogram({ counts, sum }: Histogram): Histogram {
  const length = REQUEST_BUCKETS.labels.length
  if (counts.length !== length) throw new Error(`cannot use a histogram of ${counts.length} buckets: it has ${length}`)
  return { counts: counts.map(count), sum: count(sum) }
}

function count(value: unknown): number {
  if (typeof value === 'number' && value >= 0) return value
  throw new Error(`cannot use ${JSON.stringify(value)} as a count`)
}
