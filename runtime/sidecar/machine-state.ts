import type { Plan } from '../../schema/plan.ts'
import type { ServiceObservation } from '../shared/observe-service.ts'
import { deriveState } from '../shared/service-state.ts'
import type { ServiceStatus } from '../shared/supervise-status.ts'
import type { ProbeOutcome } from './probes/probe.ts'
import { judge, type ProbeVerdict, UNPROVEN } from './probes/verdict.ts'
import { accountDeaths } from './state/account-deaths.ts'
import { type BootRecord, bootEnds, bootReady } from './state/boot-history.ts'
import { describeStop, findStop, pendingStart } from './state/operator-stop.ts'
import { countFlip, countStartup, forgive } from './state/service-history.ts'
import { initialRecord, type ServiceRecord } from './state/service-record.ts'

export type { OperatorStop, RestartOrder, ServiceRecord } from './state/service-record.ts'

export interface MachineState {
  readonly startedAtMs: number
  /** Set by the farewell: nothing is restarted any more, and the machine is not ready whatever its services say. */
  readonly stopping: boolean
  readonly services: ReadonlyMap<string, ServiceRecord>
  /** The boots that are remembered, this one last; empty until the state of the sidecar before is read. */
  readonly boots: readonly BootRecord[]
}

export function initialMachine(plan: Pick<Plan, 'services'>, nowMs: number): MachineState {
  const records = plan.services.map((service): [string, ServiceRecord] => [service.name, initialRecord(service, nowMs)])
  return { startedAtMs: nowMs, stopping: false, services: new Map(records), boots: [] }
}

/** The machine with one record put in its place. The first time that all is well is the end of the boot. */
export function withRecord(machine: MachineState, record: ServiceRecord, nowMs: number): MachineState {
  const services = new Map(machine.services).set(record.service.name, record)
  const next = { ...machine, services }
  const isBooting = machine.boots.at(-1)?.readyAtMs === null
  return isBooting && isHealthy(next) ? { ...next, boots: bootReady(machine.boots, nowMs) } : next
}

/** The machine after the farewell. */
export function bidFarewell(machine: MachineState, nowMs: number): MachineState {
  return machine.stopping ? machine : { ...machine, stopping: true, boots: bootEnds(machine.boots, nowMs) }
}

/**
 * A `run` needs a moment to say that it waits. Until then a young process with a closed gate before it counts as waiting:
 * it would else look as if it started.
 */
const WAIT_ANNOUNCEMENT_MS = 500

/**
 * The record of a service after its files were read. `kernelKilledForMemory` is asked where a death may have that
 * reason.
 */
export function observe(
  machine: MachineState,
  name: string,
  read: ServiceObservation,
  nowMs: number,
  kernelKilledForMemory: () => boolean = () => false,
): ServiceRecord {
  const record = machine.services.get(name)!
  const seen = heedDeath(read, nowMs)
  const waiting = seen.waiting ?? unannouncedWait(machine, record, seen, nowMs)
  const observation = waiting === seen.waiting ? seen : { ...seen, waiting }
  const incarnation = isRunning(observation) ? nameIncarnation(observation.status) : null
  const stop = findStop(record, observation, machine.stopping, nowMs)
  const counted = accountDeaths(record, observation, {
    incarnation,
    stopped: stop !== null,
    stopping: machine.stopping,
    bootStartedAtMs: machine.boots.at(-1)?.startedAtMs ?? 0,
    nowMs,
    kernelKilledForMemory,
  })
  const isRevived = record.state === 'failed' && observation.status?.wantUp === true
  const history = isRevived || stop !== null ? forgive(counted) : counted
  const startOrderedAtMs = pendingStart(record, observation, counted, nowMs)
  const next = { ...record, observation, stop, startOrderedAtMs, history }
  if (incarnation === null) return withState({ ...next, ...NOT_RUNNING }, nowMs)
  const isNew = incarnation !== record.incarnation
  const fresh: ServiceRecord = isNew ? { ...next, ...NOT_RUNNING, order: null, incarnation } : next
  if (waiting !== null) return withState({ ...fresh, launchedAtMs: null, ready: false }, nowMs)
  if (fresh.launchedAtMs !== null) return withState(fresh, nowMs)
  return withState(launch(machine, record, fresh, nowMs), nowMs)
}

/** A supervisor notes a death first, and that the service is down at once after that. */
const DEATH_BEFORE_STATUS_MS = 1000

/**
 * What is so where the files were read between the two: the death is there, and the status still tells of the run that
 * ended. Only for as long as that can last; a clock that was set back would else make a death of long ago the last word.
 */
function heedDeath(seen: ServiceObservation, nowMs: number): ServiceObservation {
  const { status, allDeaths } = seen
  const last = allDeaths.at(-1)
  if (status === null || !status.up || last === undefined || last.atMs <= status.changedAtMs) return seen
  if (Math.abs(nowMs - last.atMs) > DEATH_BEFORE_STATUS_MS) return seen
  return { ...seen, status: { ...status, up: false, pid: 0, announcedReady: false, lastExit: last.exit } }
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
  return service.waitsFor.length > 0 || (observation?.allDeaths.length ?? 0) > 0 || ageMs > BOOT_MS
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
  return withState(
    { ...record, ...verdict, startupMs, history: afterVerdict(record, verdict, startupMs, nowMs) },
    nowMs,
  )
}

function afterVerdict(before: ServiceRecord, after: ProbeVerdict, startupMs: number | null, nowMs: number) {
  if (before.readyAtMs === null && after.readyAtMs !== null) return countStartup(before.history, startupMs ?? 0)
  return before.ready && !after.ready ? countFlip(before.history, nowMs) : before.history
}

function withState(record: ServiceRecord, nowMs: number): ServiceRecord {
  if (record.observation === null) return record
  const { ready, readyAtMs, problem } = record
  const derived = deriveState(record.service, record.observation, { ready, wasReady: readyAtMs !== null, problem })
  const reason = derived.reason ?? (record.stop === null ? null : describeStop(record.stop))
  const sinceMs = derived.state === record.state ? record.sinceMs : nowMs
  return { ...record, state: derived.state, reason, sinceMs }
}

/** Others may start beside it: it is ready, or a task that has succeeded. */
export function isSatisfied(record: ServiceRecord | undefined): boolean {
  return record?.state === 'ready' || record?.state === 'done'
}

/** It does not run, or soon will not, since an operator wants it so. */
export function isStopped({ stop, state }: ServiceRecord): boolean {
  return stop !== null && (state === 'down' || state === 'stopping')
}

/** The machine does all that its file asks for, less what an operator stopped and what it can do without. */
export function isHealthy(machine: MachineState): boolean {
  if (machine.stopping) return false
  return [...machine.services.values()].every(
    (record) => isSatisfied(record) || isStopped(record) || record.service.optional,
  )
}

/** How often it was started again, for as long as the machine keeps its volume. */
export function countRestarts({ history }: ServiceRecord): number {
  return history.restarts
}
