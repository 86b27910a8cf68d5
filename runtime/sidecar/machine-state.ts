import type { Plan, PlannedService } from '../../schema/plan.ts'
import type { ServiceObservation } from '../shared/observe-service.ts'
import { deriveState, type StateName } from '../shared/service-state.ts'
import type { ServiceStatus } from '../shared/supervise-status.ts'
import type { ProbeOutcome } from './probes/probe.ts'
import { judge, type ProbeVerdict, UNPROVEN } from './probes/verdict.ts'

/** A restart that the policy ordered of one run of a service. */
export interface RestartOrder {
  readonly incarnation: string
  readonly atMs: number
  readonly killed: boolean
}

/** All that the sidecar knows of a service. Every change makes a new record. Times are ms since 1970. */
export interface ServiceRecord extends ProbeVerdict {
  readonly service: PlannedService
  /** `null` until it was looked at for the first time. */
  readonly observation: ServiceObservation | null
  readonly state: StateName
  readonly reason: string | null
  readonly sinceMs: number
  /** Names one run of its process; `null` while none runs. */
  readonly incarnation: string | null
  /** When its `run` became the service itself; `null` while it waits or does not run. */
  readonly launchedAtMs: number | null
  /** The incarnations of what it waits for, as they were then. */
  readonly launchedBeside: Readonly<Record<string, string | null>>
  /** From the launch to readiness, of the last run that got there. */
  readonly startupMs: number | null
  readonly order: RestartOrder | null
  /** Deaths that the sidecar has counted; survives the supervisor's own limit, not the sidecar's end. */
  readonly deaths: number
  readonly lastDeathAtMs: number
}

export interface MachineState {
  readonly startedAtMs: number
  /** Set by the farewell: nothing is restarted any more, and the machine is not ready whatever its services say. */
  readonly stopping: boolean
  readonly services: ReadonlyMap<string, ServiceRecord>
}

export function initialMachine(plan: Pick<Plan, 'services'>, nowMs: number): MachineState {
  const records = plan.services.map((service): [string, ServiceRecord] => [service.name, initialRecord(service, nowMs)])
  return { startedAtMs: nowMs, stopping: false, services: new Map(records) }
}

function initialRecord(service: PlannedService, nowMs: number): ServiceRecord {
  return {
    service,
    observation: null,
    state: 'down',
    reason: null,
    sinceMs: nowMs,
    incarnation: null,
    launchedAtMs: null,
    launchedBeside: {},
    ...UNPROVEN,
    startupMs: null,
    order: null,
    deaths: 0,
    lastDeathAtMs: 0,
  }
}

/**
 * A `run` needs a moment to say that it waits. Until then a young process with a closed gate before it counts as waiting:
 * it would else look as if it started.
 */
const WAIT_ANNOUNCEMENT_MS = 500

/** The record of a service after its files were read. */
export function observe(machine: MachineState, name: string, seen: ServiceObservation, nowMs: number): ServiceRecord {
  const record = machine.services.get(name)!
  const observation = { ...seen, waiting: seen.waiting ?? unannouncedWait(machine, record, seen, nowMs) }
  const next = { ...record, observation, ...countDeaths(record, seen) }
  if (!isRunning(observation)) return withState({ ...next, ...NOT_RUNNING }, nowMs)
  const incarnation = nameIncarnation(observation.status)
  const isNew = incarnation !== record.incarnation
  const fresh: ServiceRecord = isNew ? { ...next, ...NOT_RUNNING, order: null, incarnation } : next
  if (observation.waiting !== null) return withState({ ...fresh, launchedAtMs: null, ready: false }, nowMs)
  if (fresh.launchedAtMs !== null) return withState(fresh, nowMs)
  return withState(launch(machine, record, fresh, nowMs), nowMs)
}

type RunningObservation = ServiceObservation & { readonly status: ServiceStatus }

/** A process that was told to stay down counts as gone: whoever waits for the service must wait for the next one. */
function isRunning(observation: ServiceObservation): observation is RunningObservation {
  const { supervised, status } = observation
  return supervised && status?.up === true && status.wantUp
}

const NOT_RUNNING = {
  incarnation: null,
  launchedAtMs: null,
  launchedBeside: {},
  ...UNPROVEN,
} as const

function nameIncarnation(status: ServiceStatus): string {
  return `${status.pid}@${status.changedAtMs}`
}

function unannouncedWait(
  machine: MachineState,
  { service, launchedAtMs, incarnation }: ServiceRecord,
  { status }: ServiceObservation,
  nowMs: number,
): string | null {
  if (status === null || !status.up || nowMs - status.changedAtMs > WAIT_ANNOUNCEMENT_MS) return null
  if (launchedAtMs !== null && incarnation === nameIncarnation(status)) return null
  const closed = service.waitsFor.filter((name) => !isSatisfied(machine.services.get(name)))
  return closed.length === 0 ? null : `waits for ${closed.join(', ')}`
}

function countDeaths(record: ServiceRecord, { deaths }: ServiceObservation): Partial<ServiceRecord> {
  const fresh = deaths.filter((death) => death.atMs > record.lastDeathAtMs)
  if (fresh.length === 0) return {}
  return { deaths: record.deaths + fresh.length, lastDeathAtMs: fresh.at(-1)!.atMs }
}

/**
 * The service itself runs now. A sidecar that has just started itself finds services that have long been launched: an
 * open gate says that its predecessor saw this run ready, and what it depends on may have been restarted since then.
 */
function launch(machine: MachineState, before: ServiceRecord, record: ServiceRecord, nowMs: number): ServiceRecord {
  const { service, observation } = record
  const startedAtMs = observation?.status?.changedAtMs ?? nowMs
  const gate = before.observation === null ? (observation?.gateOpenedAtMs ?? null) : null
  const adopted = gate !== null && gate >= startedAtMs && service.kind === 'longrun' ? gate : null
  const launchedAtMs = adopted ?? (mayHaveWaited(before, record, nowMs) ? nowMs : Math.min(startedAtMs, nowMs))
  const beside = service.waitsFor.map((name) => {
    const other = machine.services.get(name)
    const isOlder = adopted === null || (other?.observation?.status?.changedAtMs ?? 0) <= adopted
    return [name, isOlder ? (other?.incarnation ?? null) : null]
  })
  return {
    ...record,
    launchedAtMs,
    launchedBeside: Object.fromEntries(beside),
    ...(adopted === null ? {} : { ready: true, readyAtMs: adopted }),
  }
}

/** At a boot the sidecar comes up beside the services, and sees them only when it is up itself. */
const BOOT_MS = 5000

/** Whether the process may have waited before it became the service, so that its age says nothing of its start. */
function mayHaveWaited(
  before: ServiceRecord,
  { service, incarnation, observation }: ServiceRecord,
  nowMs: number,
): boolean {
  if (before.incarnation === incarnation && before.observation?.waiting) return true
  if (before.observation !== null) return false
  const ageMs = nowMs - (observation?.status?.changedAtMs ?? nowMs)
  return service.waitsFor.length > 0 || (observation?.deaths.length ?? 0) > 0 || ageMs > BOOT_MS
}

/** The record of a service after a probe. A probe of a run that has ended meanwhile changes nothing. */
export function probed(
  record: ServiceRecord,
  incarnation: string,
  outcome: ProbeOutcome,
  nowMs: number,
): ServiceRecord {
  if (record.incarnation !== incarnation || record.launchedAtMs === null) return record
  const verdict = judge(record, outcome, record.service.liveness, nowMs)
  if (verdict === record) return record
  const isFirst = record.readyAtMs === null && verdict.readyAtMs !== null
  const startupMs = isFirst ? nowMs - record.launchedAtMs : record.startupMs
  return withState({ ...record, ...verdict, startupMs }, nowMs)
}

function withState(record: ServiceRecord, nowMs: number): ServiceRecord {
  if (record.observation === null) return record
  const { ready, readyAtMs, problem } = record
  const { state, reason } = deriveState(record.service, record.observation, {
    ready,
    wasReady: readyAtMs !== null,
    problem,
  })
  const sinceMs = state === record.state ? record.sinceMs : nowMs
  return { ...record, state, reason, sinceMs }
}

/** Others may start beside it: it is ready, or a task that has succeeded. */
export function isSatisfied(record: ServiceRecord | undefined): boolean {
  return record?.state === 'ready' || record?.state === 'done'
}

/** The machine does all that its file asks for. */
export function isHealthy(machine: MachineState): boolean {
  return !machine.stopping && [...machine.services.values()].every(isSatisfied)
}

/** How often it was started again: the last death of one that does not run was not followed by a start. */
export function countRestarts({ deaths, observation }: ServiceRecord): number {
  return observation?.status?.up ? deaths : Math.max(0, deaths - 1)
}
