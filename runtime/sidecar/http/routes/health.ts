import type { MachineState } from '../../machine-state.ts'
import { type BytesAnswer, JSON_TYPE, json, jsonBytes } from '../answer.ts'
import { describeService, isoTime } from '../describe-service.ts'
import { endpoint, type Route } from '../endpoint.ts'
import type { HttpParts } from '../http-parts.ts'
import { findRecord } from '../names.ts'
import { standingOf, verdictOf } from '../verdict.ts'

/** `/health` and `/ready` of the machine, `/services/{name}/health` of one service: 200 or 503, and true. */
export function healthRoutes({ view }: HttpParts): readonly Route[] {
  const health = rememberAnswer(view, (machine, nowMs) => {
    const { healthy, state } = verdictOf(machine)
    return { status: healthy ? 200 : 503, body: healthBody(machine, nowMs, healthy, state) }
  })
  const ready = rememberAnswer(view, (machine, nowMs) => {
    const verdict = verdictOf(machine)
    return {
      status: verdict.ready ? 200 : 503,
      body: { ready: verdict.ready, state: verdict.state, timestamp: isoTime(nowMs) },
    }
  })
  return [
    { path: '/health', methods: { GET: endpoint({ anyHost: true, query: {}, run: health }) } },
    { path: '/ready', methods: { GET: endpoint({ anyHost: true, query: {}, run: ready }) } },
    {
      path: '/services/{name}/health',
      methods: {
        GET: endpoint({
          anyHost: true,
          query: {},
          run: (_, { name }) => {
            const machine = view.machine()
            const record = findRecord(view.plan, machine, name)
            const healthy = standingOf(record) === 'healthy' && !machine.stopping
            const { state, pm2_status, reason } = describeService(record, view.nowMs())
            const body = { service: name, healthy, status: pm2_status, state, reason, timestamp: isoTime(view.nowMs()) }
            return json(healthy ? 200 : 503, body)
          },
        }),
      },
    },
  ]
}

function healthBody(machine: MachineState, nowMs: number, healthy: boolean, state: string): object {
  const named = (standing: string) =>
    [...machine.services.values()]
      .filter((record) => standingOf(record) === standing)
      .map(({ service }) => service.name)
  const services = [...machine.services.values()].map((record) => {
    const {
      name,
      state: serviceState,
      pm2_status,
      standing,
      ready,
      live,
      pid,
      restarts,
      reason,
    } = describeService(record, nowMs)
    const own = { healthy: standing === 'healthy', standing, status: pm2_status, state: serviceState }
    return [name, { ...own, ready, live, pid, restarts, reason }]
  })
  return {
    healthy,
    state,
    degraded: named('degraded'),
    stopped: named('stopped'),
    services: Object.fromEntries(services),
    uptime: Math.round(nowMs - machine.startedAtMs),
    timestamp: isoTime(nowMs),
  }
}

/**
 * Load balancers ask much more often than anything changes: the bytes of an answer are kept until the machine changes, and
 * for a second at the most, so that its times stay true to the second.
 */
function rememberAnswer(
  view: HttpParts['view'],
  make: (machine: MachineState, nowMs: number) => { readonly status: number; readonly body: object },
): () => BytesAnswer {
  let madeOf: MachineState | null = null
  let madeInSecond = 0
  let kept: BytesAnswer | null = null
  return () => {
    const machine = view.machine()
    const nowMs = view.nowMs()
    const second = Math.floor(nowMs / 1000)
    if (kept === null || machine !== madeOf || second !== madeInSecond) {
      const { status, body } = make(machine, nowMs)
      kept = { status, type: JSON_TYPE, bytes: jsonBytes(body) }
      madeOf = machine
      madeInSecond = second
    }
    return kept
  }
}
