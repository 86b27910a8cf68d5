import { type MachineHealth, machineHealth } from '../../health.ts'
import { isSatisfied, type MachineState } from '../../machine-state.ts'
import { type BytesAnswer, JSON_TYPE, json, jsonBytes } from '../answer.ts'
import { describeService, isoTime } from '../describe-service.ts'
import { endpoint, type Question, type Route } from '../endpoint.ts'
import type { HttpParts } from '../http-parts.ts'
import { findRecord } from '../names.ts'

/** `/health` and `/ready` of the machine, `/services/{name}/health` of one service: 200 or 503, and true. */
export function healthRoutes({ view }: HttpParts): readonly Route[] {
  const health = rememberAnswer(view, (machine, nowMs) => {
    const verdict = machineHealth(machine, nowMs)
    return { status: verdict.healthy ? 200 : 503, body: healthBody(machine, verdict, nowMs) }
  })
  const ready = rememberAnswer(view, (machine, nowMs) => {
    const verdict = machineHealth(machine, nowMs)
    const body = { ready: verdict.ready, state: verdict.phase, timestamp: isoTime(nowMs) }
    return { status: verdict.ready ? 200 : 503, body }
  })
  const ofService = (_: object, { name }: Question) => serviceHealth(view, name)
  return [
    { path: '/health', methods: { GET: endpoint({ anyHost: true, query: {}, run: health }) } },
    { path: '/ready', methods: { GET: endpoint({ anyHost: true, query: {}, run: ready }) } },
    { path: '/services/{name}/health', methods: { GET: endpoint({ anyHost: true, query: {}, run: ofService }) } },
  ]
}

function serviceHealth({ plan, machine, nowMs }: HttpParts['view'], name: string) {
  const now = machine()
  const record = findRecord(plan, now, name)
  const healthy = isSatisfied(record) && !now.stopping
  const { state, pm2_status, standing, reason } = describeService(record, nowMs())
  const body = { service: name, healthy, standing, status: pm2_status, state, reason, timestamp: isoTime(nowMs()) }
  return json(healthy ? 200 : 503, body)
}

function healthBody(machine: MachineState, verdict: MachineHealth, nowMs: number): object {
  const { healthy, phase, degraded, unhealthy, stopped } = verdict
  const services = [...machine.services.values()].map((record) => {
    const { name, state, pm2_status, standing, ready, live, pid, restarts, reason } = describeService(record, nowMs)
    return [name, { healthy: ready, standing, status: pm2_status, state, ready, live, pid, restarts, reason }]
  })
  return {
    healthy,
    state: phase,
    unhealthy,
    degraded,
    stopped,
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
