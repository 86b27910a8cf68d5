import type { Plan } from '../../../schema/plan.ts'
import type { EventDraft, MachineEvent } from '../../shared/machine-event.ts'
import { machineHealth, type Shortfall } from '../health.ts'
import { countRestarts, isHealthy, isSatisfied, type MachineState } from '../machine-state.ts'
import type { ResourceSnapshot } from '../resources/resource-snapshot.ts'
import type { Workload } from '../workload/workload.ts'
import { deriveAlarms } from './derive-alarms.ts'
import { deriveServiceEvents } from './derive-service-events.ts'
import { deriveWorkerEvents } from './derive-worker-events.ts'
import { type DigestContext, type MachinePhase, type Told, UNTOLD_SERVICE } from './told.ts'

/** What is so at one moment. */
export interface Facts {
  readonly plan: Pick<Plan, 'machine' | 'gpus' | 'services' | 'target' | 'simulate'>
  readonly version: string
  readonly machine: MachineState
  readonly resources: ResourceSnapshot | null
  readonly workload: (service: string) => Workload | null
  /** The last event of the boot before this one; `null` where there was none, or it is lost. */
  readonly previousBoot: MachineEvent | null
  readonly nowMs: number
}

/** A summary of the machine is said this often, also where nothing happens. */
export const DIGEST_INTERVAL_MS = 60_000

/** Everything that is so and was not told yet, in the order in which it is to be told. */
export function deriveEvents(told: Told, facts: Facts): EventDraft[] {
  const { machine, plan } = facts
  const started: EventDraft[] = told.started ? [] : [startedEvent(facts)]
  const records = [...machine.services.values()]
  const services = records.flatMap((record) =>
    deriveServiceEvents(told.services.get(record.service.name) ?? UNTOLD_SERVICE, record),
  )
  const workers = plan.services.flatMap((service) => deriveWorkerEvents(told, facts, service))
  // The farewell comes before what it causes, everything else is the sum of what the services do.
  const phase = phaseEvents(told, facts)
  const [before, after] = machine.stopping ? [phase, []] : [[], phase]
  return [
    ...started,
    ...before,
    ...services,
    ...workers,
    ...after,
    ...healthEvents(told, machine),
    ...deriveAlarms(told, facts),
  ]
}

function startedEvent({ plan, version, previousBoot }: Facts): EventDraft {
  const { machine, gpus, services, target, simulate } = plan
  return {
    type: 'machine.started',
    status: 'starting',
    context: {
      version,
      target,
      simulate,
      machine: machine.id,
      gpus: gpus.map(({ index, model, memoryGB, mock }) => ({ index, model, memoryGB, mock })),
      services: services.map(({ name }) => name),
      workers: services.flatMap(({ workerId }) => workerId ?? []),
      previousBoot: previousBoot === null ? null : describeBoot(previousBoot),
    },
  }
}

/** `ended`: it said goodbye; without it the machine was killed, or lost its power. */
function describeBoot({ bootId, seq, at, type }: MachineEvent) {
  return { bootId, lastSeq: seq, lastAt: at, ended: type === 'machine.stopped' }
}

/** What keeps the machine from being all it should be, apart from what it does without and is still on its way. */
function shortfallsOf({ machine, nowMs }: Facts): readonly Shortfall[] {
  const { degraded, unhealthy } = machineHealth(machine, nowMs)
  const isOnItsWay = ({ service }: Shortfall) => {
    const record = machine.services.get(service)
    return (record?.state === 'starting' || record?.state === 'waiting') && record.history.deaths === 0
  }
  return [...unhealthy, ...degraded.filter((shortfall) => !isOnItsWay(shortfall))]
}

function phaseOf(told: Told, facts: Facts, shortfalls: readonly Shortfall[]): MachinePhase {
  const { phase } = machineHealth(facts.machine, facts.nowMs)
  if (phase === 'stopping') return told.phase === 'stopped' ? 'stopped' : 'stopping'
  if (phase === 'starting' && told.phase === 'starting') return 'starting'
  return shortfalls.length === 0 ? 'ready' : 'degraded'
}

function phaseEvents(told: Told, facts: Facts): EventDraft[] {
  const shortfalls = shortfallsOf(facts)
  const phase = phaseOf(told, facts, shortfalls)
  if (phase === told.phase) return []
  if (phase === 'ready') return [{ type: 'machine.ready', status: 'ready', context: countServices(facts.machine) }]
  if (phase === 'stopping') return [{ type: 'machine.stopping', status: 'stopping' }]
  if (phase !== 'degraded') return []
  const message = shortfalls.map(({ service, reason }) => `"${service}" is ${reason}`).join('; ')
  const { ready } = machineHealth(facts.machine, facts.nowMs)
  const context = { ready, services: shortfalls.map(({ service }) => service) }
  return [{ type: 'machine.degraded', status: 'degraded', error: { code: 'DEGRADED', message }, context }]
}

function healthEvents(told: Told, machine: MachineState): EventDraft[] {
  const healthy = isHealthy(machine)
  if (healthy === told.healthy || machine.stopping) return []
  return [{ type: 'health.changed', status: healthWord(healthy), context: countServices(machine) }]
}

const healthWord = (healthy: boolean) => (healthy ? 'healthy' : 'unhealthy')

function countServices({ services }: MachineState) {
  return { ready: [...services.values()].filter(isSatisfied).length, services: services.size }
}

/** The digest, where it is time for one. It repeats what was told: whatever else there is to tell comes before it. */
export function deriveDigest(told: Told, { machine, nowMs }: Pick<Facts, 'machine' | 'nowMs'>): EventDraft[] {
  if (!told.started || nowMs - told.digestAtMs < DIGEST_INTERVAL_MS) return []
  const services = [...machine.services.values()].map((record) => {
    const { name } = record.service
    const { state } = record
    return [name, { state, restarts: countRestarts(record), ...(told.services.get(name) ?? UNTOLD_SERVICE) }] as const
  })
  const context: DigestContext = {
    phase: told.phase,
    services: Object.fromEntries(services),
    workers: Object.fromEntries([...told.workers].map(([id, { state }]) => [id, state])),
    alarms: [...told.alarms],
    oomKills: told.oomKills,
  }
  return [{ type: 'health.digest', status: healthWord(told.healthy), context: { ...context } }]
}
