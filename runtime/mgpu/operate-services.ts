import { setTimeout as sleep } from 'node:timers/promises'
import type { Plan, PlannedService } from '../../schema/plan.ts'
import { giveBackBudget } from '../shared/give-back-budget.ts'
import { createObserver, type ServiceObservation, serviceDirectory } from '../shared/observe-service.ts'
import { CONTROL, sendControl } from '../shared/service-control.ts'
import { deriveState } from '../shared/service-state.ts'
import { nextToStop } from '../shared/stop-order.ts'
import { askSidecar } from './ask-sidecar.ts'
import { probeServices } from './machine-facts.ts'

/** How an order ended for one service. */
export interface Outcome {
  readonly service: PlannedService
  readonly ok: boolean
  /** `ready after 2.1 s`, `was down already`, or why it did not come to that. */
  readonly text: string
  readonly tookMs: number
}

export interface OperateOptions {
  readonly plan: Plan
  /** How long a start may take; 0: nobody waits for readiness. */
  readonly waitMs: (service: PlannedService) => number
  readonly signal: AbortSignal
  readonly onOutcome: (outcome: Outcome) => void
  /** What is waited for, as often as it changes. */
  readonly onWaiting: (lines: readonly string[]) => void
}

const POLL_MS = 50
/** What the supervisor grants `finish`, and some time to note the death. */
const FINISH_ALLOWANCE_MS = 7000
/** A service that is probed from here is not probed more often than this. */
const PROBE_INTERVAL_MS = 500

const UNSUPERVISED = 'no supervisor looks after it'

interface Order {
  readonly service: PlannedService
  readonly observe: () => ServiceObservation
  readonly startedMs: number
  readonly orderedAtMs: number
  /** Of the state before the order: as long as it lasts, the order has not come through. */
  readonly changedBeforeMs: number
  readonly lastProbeMs: number
  /** It was probed from here, and works. */
  readonly works: boolean
}

/** Tells services to stay down, each once all that need it are down, and waits for it. Gives those that are down. */
export async function stopServices(
  services: readonly PlannedService[],
  { plan, signal, onOutcome, onWaiting }: Omit<OperateOptions, 'waitMs'>,
): Promise<readonly PlannedService[]> {
  const startedMs = performance.now()
  const told = new Map<string, number>()
  const settled = new Set<string>()
  const down: PlannedService[] = []
  const observers = new Map(services.map(({ name }) => [name, createObserver(plan.paths, name)]))
  const settle = (service: PlannedService, ok: boolean, text: string) => {
    settled.add(service.name)
    if (ok) down.push(service)
    onOutcome({ service, ok, text, tookMs: Math.round(performance.now() - startedMs) })
  }
  while (settled.size < services.length && !signal.aborted) {
    for (const service of services.filter(({ name }) => !settled.has(name))) {
      const { supervised, status } = observers.get(service.name)!()
      const toldMs = told.get(service.name)
      if (!supervised || status === null) settle(service, false, `cannot stop it: ${UNSUPERVISED}`)
      else if (status.pid === 0 && !status.wantUp) settle(service, true, toldMs === undefined ? 'was down' : 'down')
      else if (toldMs !== undefined && performance.now() - toldMs > service.stop.timeoutMs + FINISH_ALLOWANCE_MS)
        settle(service, false, `it did not end within ${seconds(service.stop.timeoutMs + FINISH_ALLOWANCE_MS)}`)
    }
    for (const name of nextToStop(services, settled, new Set(told.keys()))) {
      giveBackBudget(plan.paths, name)
      sendControl(serviceDirectory(plan.paths, name), CONTROL.down)
      told.set(name, performance.now())
    }
    const waiting = services.filter(({ name }) => !settled.has(name)).map(({ name }) => `${name} stops`)
    onWaiting(waiting)
    if (waiting.length > 0) await pause(POLL_MS, signal)
  }
  return down
}

/** Starts services and waits until each is ready, cannot become so, or its time is over. */
export async function startServices(services: readonly PlannedService[], options: OperateOptions): Promise<void> {
  const { plan, signal, onOutcome, onWaiting, waitMs } = options
  let open: Order[] = []
  const settle = ({ service, startedMs }: Pick<Order, 'service' | 'startedMs'>, ok: boolean, text: string) => {
    onOutcome({ service, ok, text, tookMs: Math.round(performance.now() - startedMs) })
  }
  for (const service of services) {
    const [observe, startedMs] = [createObserver(plan.paths, service.name), performance.now()]
    const before = observe()
    const orderedAtMs = Date.now()
    if (!giveStart(plan, service, before)) settle({ service, startedMs }, false, `cannot start it: ${UNSUPERVISED}`)
    else if (isAlreadyReady(before)) settle({ service, startedMs }, true, 'was ready')
    else if (waitMs(service) === 0) settle({ service, startedMs }, true, 'told to start')
    else {
      const changedBeforeMs = before.status?.changedAtMs ?? 0
      open.push({ service, observe, startedMs, orderedAtMs, changedBeforeMs, lastProbeMs: startedMs, works: false })
    }
  }
  while (open.length > 0 && !signal.aborted) {
    const left: Order[] = []
    const waiting: string[] = []
    for (const order of open) {
      const [next, verdict] = await judge(order, plan, waitMs(order.service))
      if (typeof verdict === 'string') {
        left.push(next)
        waiting.push(`${order.service.name} ${verdict}`)
      } else settle(order, verdict.ok, verdict.text)
    }
    open = left
    onWaiting(waiting)
    if (open.length > 0) await pause(POLL_MS, signal)
  }
}

function giveStart({ paths }: Plan, { name }: PlannedService, { supervised, status, waiting }: ServiceObservation) {
  if (!supervised || status === null) return false
  giveBackBudget(paths, name)
  // One that pauses after its last death is not to make anybody wait; its shell ends at once.
  const isPausing = status.up && status.wantUp && waiting?.startsWith(PAUSE) === true
  return sendControl(serviceDirectory(paths, name), isPausing ? CONTROL.restart + CONTROL.up : CONTROL.up) === 'sent'
}

/** How the `run` of a service says that it pauses. */
const PAUSE = 'starts again in'

const isAlreadyReady = ({ status, waiting, gateOpenedAtMs }: ServiceObservation): boolean =>
  status?.up === true && status.wantUp && waiting === null && (gateOpenedAtMs ?? 0) >= status.changedAtMs

type Verdict = { readonly ok: boolean; readonly text: string }

/** What has become of a start: what it waits for in words, or how it ended. */
async function judge(order: Order, plan: Plan, limitMs: number): Promise<readonly [Order, Verdict | string]> {
  const { service, observe, startedMs, orderedAtMs, changedBeforeMs } = order
  const seen = observe()
  const elapsedMs = performance.now() - startedMs
  const isFresh =
    (seen.gateOpenedAtMs ?? 0) >= Math.floor(service.kind === 'task' ? orderedAtMs : (seen.status?.changedAtMs ?? 0))
  const ready = isFresh && seen.status?.up === true
  const { state, reason } = deriveState(service, isFresh ? seen : { ...seen, gateOpenedAtMs: null }, {
    ready,
    wasReady: false,
    problem: null,
  })
  const because = reason === null ? '' : `: ${reason}`
  if (state === 'ready' || state === 'done') return [order, { ok: true, text: `${state} after ${seconds(elapsedMs)}` }]
  const isStillBefore = seen.status?.changedAtMs === changedBeforeMs && Date.now() - orderedAtMs < ORDER_ARRIVES_MS
  if (isStillBefore && seen.status?.up === false) return [order, 'is told to start']
  if (state === 'failed') return [order, { ok: false, text: `failed${because}` }]
  if (state === 'down' && Date.now() - orderedAtMs > ORDER_ARRIVES_MS) {
    return [order, { ok: false, text: service.kind === 'task' ? 'ended without success' : 'somebody stopped it again' }]
  }
  const probed = await probeInstead(order, plan, seen)
  if (probed.works) {
    const how = service.type === 'sidecar' ? '' : ' (probed from here: the sidecar is away)'
    return [probed, { ok: true, text: `ready after ${seconds(elapsedMs)}${how}` }]
  }
  if (elapsedMs > limitMs) {
    return [probed, { ok: false, text: `not ready within ${seconds(limitMs)}, it is ${state}${because}` }]
  }
  return [probed, `${state}${because}`]
}

/** An order needs a moment to reach the supervisor. */
const ORDER_ARRIVES_MS = 2000

/** While no sidecar opens gates, its probe is made here. */
async function probeInstead(order: Order, plan: Plan, seen: ServiceObservation): Promise<Order> {
  if (performance.now() - order.lastProbeMs < PROBE_INTERVAL_MS || seen.status?.up !== true) return order
  const probed = { ...order, lastProbeMs: performance.now() }
  const isAnswered = (await askSidecar(plan)).kind === 'answer'
  if (order.service.type === 'sidecar') return { ...probed, works: isAnswered }
  if (isAnswered) return probed
  const found = (await probeServices([order.service], [seen])).get(order.service.name)
  return { ...probed, works: found?.ok === true }
}

export const seconds = (ms: number): string => `${(Math.round(ms / 100) / 10).toFixed(1)} s`

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {})
}
