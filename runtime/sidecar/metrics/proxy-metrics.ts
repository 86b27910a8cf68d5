import { type AccessTotals, REQUEST_BUCKETS, type RouteTotals } from './access-totals.ts'
import { type Family, labelText, type Sample, single } from './exposition.ts'
import { histogramSamples } from './histogram.ts'

/** What nginx's access log tells; `null` on a machine without a proxy. */
export function proxyFamilies(totals: AccessTotals | null, behindBytes: number): readonly Family[] {
  if (totals === null) return []
  const routes = [...totals.routes].sort(([a], [b]) => (a < b ? -1 : 1))
  const family = (
    type: Family['type'],
    name: string,
    help: string,
    samples: (route: string, totals: RouteTotals) => readonly Sample[],
  ): Family => ({
    name: `machine_nginx_${name}`,
    type,
    help,
    samples: routes.flatMap(([route, totals]) => samples(route, totals)),
  })
  const bytes = (name: string, help: string, value: (totals: RouteTotals) => number) =>
    family('counter', name, help, (route, totals) => [{ labels: labelText({ route }), value: value(totals) }])
  const one = (type: Family['type'], name: string, help: string, value: number): Family => ({
    name: `machine_nginx_access_log_${name}`,
    type,
    help,
    samples: single(value),
  })
  return [
    family('counter', 'requests', 'Requests that nginx has answered.', (route, { codes }) =>
      [...codes].map(([code, value]) => ({ labels: labelText({ route, code }), value })),
    ),
    family(
      'histogram',
      'request_duration_seconds',
      'From the first byte of a request to the last one of its answer.',
      (route, { durations }) =>
        [...durations].flatMap(([status, histogram]) =>
          histogramSamples(REQUEST_BUCKETS, histogram, labelText({ route, status })),
        ),
    ),
    bytes('received_bytes', 'Bytes of requests.', ({ bytesReceived }) => bytesReceived),
    bytes('sent_bytes', 'Bytes of answers.', ({ bytesSent }) => bytesSent),
    one('counter', 'malformed_lines', 'Lines of the access log that could not be read.', totals.malformedLines),
    one('counter', 'gaps', 'How often lines were rotated away before they were read.', totals.gaps),
    one('gauge', 'behind_bytes', 'What is written of the present access log and not counted yet.', behindBytes),
  ]
}
