import type { LogLine } from '../../../shared/logs/log-store.ts'
import { dependenciesInView } from '../../workload/dependency-health.ts'
import { json } from '../answer.ts'
import { describeHistory, describeService, describeWaiting, isoTime } from '../describe-service.ts'
import { endpoint, type Question, type Route } from '../endpoint.ts'
import type { HttpParts } from '../http-parts.ts'
import { findRecord, servicesNamed } from '../names.ts'
import { text } from '../query.ts'
import type { LogSlots } from './logs.ts'

/** Enough for the end of a traceback. */
const FAILED_LOG_LINES = 20

/** `/services`, all or those of a bundle, and `/services/{name}` with all that is known of one. */
export function serviceRoutes(parts: HttpParts, slots: LogSlots): readonly Route[] {
  const { view } = parts
  return [
    {
      path: '/services',
      methods: {
        GET: endpoint({
          query: { service: text(200) },
          run: ({ service }) => {
            const machine = view.machine()
            const nowMs = view.nowMs()
            const names = service === null ? [...machine.services.keys()] : servicesNamed(view.plan, service)
            const services = names.map((name) => describeService(machine.services.get(name)!, nowMs))
            const { bundles } = view.plan
            return json(200, { services, count: services.length, bundles, timestamp: isoTime(nowMs) })
          },
        }),
      },
    },
    {
      path: '/services/{name}',
      methods: { GET: endpoint({ query: {}, run: (_, question) => oneService(parts, slots, question) }) },
    },
  ]
}

async function oneService(parts: HttpParts, slots: LogSlots, question: Question) {
  const { view } = parts
  const machine = view.machine()
  const record = findRecord(view.plan, machine, question.name)
  const described = {
    ...describeService(record, view.nowMs()),
    waitingFor: describeWaiting(record, machine),
    dependencies: dependenciesInView(view, question.name),
    ...describeHistory(record),
    workload: view.workload(question.name),
  }
  if (record.state !== 'failed' || !question.hasToken()) return json(200, described)
  return json(200, { ...described, logs: await lastLines(parts, slots, question) })
}

/** A log that cannot be read just now is no reason to show nothing of a failed service. */
async function lastLines(
  { logs }: HttpParts,
  { searches }: LogSlots,
  { name }: Question,
): Promise<readonly LogLine[] | null> {
  const store = logs()
  if (store === null) return null
  return searches.use(() => store.lastLines(name, FAILED_LOG_LINES)).catch(() => null)
}
