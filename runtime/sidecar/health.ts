import { isHealthy, isSatisfied, isStopped, type MachineState, type ServiceRecord } from './machine-state.ts'
import { flappingReason } from './state/flapping.ts'

/**
 * How a service stands in the verdict about the machine.
 * - `healthy`: it is ready, or a task that has succeeded, or an optional one that works
 * - `stopped`: it does not run, since an operator wants it so
 * - `degraded`: the machine does without it, or it works and has been unsteady
 * - `unhealthy`: anything else
 */
export type Standing = 'healthy' | 'stopped' | 'degraded' | 'unhealthy'

export interface Shortfall {
  readonly service: string
  readonly reason: string
}

export interface MachineHealth {
  /** Everything that is wanted and that the machine cannot do without works. */
  readonly healthy: boolean
  /** Jobs can be taken: not by all of its GPUs, perhaps. */
  readonly ready: boolean
  readonly stopping: boolean
  /** `starting` until all was well for the first time in this boot, unless something was given up before. */
  readonly phase: 'starting' | 'ready' | 'degraded' | 'unhealthy' | 'stopping'
  readonly degraded: readonly Shortfall[]
  readonly unhealthy: readonly Shortfall[]
  readonly stopped: readonly string[]
}

export function standingOf(record: ServiceRecord, nowMs: number): Standing {
  if (isStopped(record)) return 'stopped'
  if (isSatisfied(record)) return flappingReason(record, nowMs) === null ? 'healthy' : 'degraded'
  if (!record.service.optional) return 'unhealthy'
  return isAtFirstTry(record) ? 'healthy' : 'degraded'
}

/** A task that the machine does without and that has not failed yet: it works, and nothing is missing meanwhile. */
function isAtFirstTry({ service, state, observation }: ServiceRecord): boolean {
  return service.kind === 'task' && state !== 'failed' && state !== 'down' && (observation?.deaths.length ?? 0) === 0
}

/** The verdict about the machine: what its file asks for, less what an operator stopped. */
export function machineHealth(machine: MachineState, nowMs: number): MachineHealth {
  const records = [...machine.services.values()]
  const shortfalls = (standing: Standing): Shortfall[] =>
    records
      .filter((record) => standingOf(record, nowMs) === standing)
      .map((record) => ({ service: record.service.name, reason: describeShortfall(record, nowMs) }))
  const [degraded, unhealthy] = [shortfalls('degraded'), shortfalls('unhealthy')]
  const healthy = isHealthy(machine)
  return {
    healthy,
    ready: canTakeJobs(machine),
    stopping: machine.stopping,
    phase: phaseOf(machine, healthy, degraded.length > 0),
    degraded,
    unhealthy,
    stopped: shortfalls('stopped').map(({ service }) => service),
  }
}

function phaseOf(machine: MachineState, healthy: boolean, isDegraded: boolean): MachineHealth['phase'] {
  if (machine.stopping) return 'stopping'
  if (healthy) return isDegraded ? 'degraded' : 'ready'
  const wasReady = (machine.boots.at(-1)?.readyAtMs ?? null) !== null
  const isHopeless = [...machine.services.values()].some(
    ({ state, service }) => state === 'failed' && !service.optional,
  )
  return wasReady || isHopeless ? 'unhealthy' : 'starting'
}

function describeShortfall(record: ServiceRecord, nowMs: number): string {
  const { state, reason } = record
  if (isSatisfied(record)) return flappingReason(record, nowMs) ?? state
  return reason === null ? state : `${state}: ${reason}`
}

/**
 * Jobs come to workers from Redis, and to a machine without workers through the proxy to its GPU services. A machine with
 * neither is ready when it is healthy.
 */
function canTakeJobs(machine: MachineState): boolean {
  if (machine.stopping) return false
  const records = [...machine.services.values()]
  const works = (record: ServiceRecord): boolean =>
    isSatisfied(record) && record.service.waitsFor.every((name) => isSatisfied(machine.services.get(name)))
  const workers = records.filter(({ service }) => service.workerId !== null)
  if (workers.length > 0) return workers.some(works)
  const gpuServices = records.filter(({ service }) => service.gpu !== null && service.kind === 'longrun')
  const proxies = records.filter(({ service }) => service.type === 'nginx')
  return gpuServices.length === 0 ? isHealthy(machine) : proxies.every(isSatisfied) && gpuServices.some(works)
}
