import type { PlannedService } from '../../../schema/plan.ts'
import { isHealthy, isSatisfied, isStopped, type MachineState, type ServiceRecord } from '../machine-state.ts'

/** How a service counts in the verdict about the machine. */
export type Standing = 'healthy' | 'unhealthy' | 'degraded' | 'stopped'

export interface MachineVerdict {
  readonly healthy: boolean
  /** Jobs can be taken. */
  readonly ready: boolean
  /**
   * - `starting`: it has not been healthy since it booted, and nothing of it was given up
   * - `degraded`: healthy, but for services that it can do without
   */
  readonly state: 'starting' | 'ready' | 'degraded' | 'unhealthy' | 'stopping'
}

/** `stopped` by an operator counts neither for nor against the machine, `degraded` is an optional one that does not work. */
export function standingOf(record: ServiceRecord): Standing {
  if (isSatisfied(record)) return 'healthy'
  if (isStopped(record)) return 'stopped'
  return record.service.optional ? 'degraded' : 'unhealthy'
}

export function verdictOf(machine: MachineState): MachineVerdict {
  const healthy = isHealthy(machine)
  return { healthy, ready: takesJobs(machine), state: stateOf(machine, healthy) }
}

function stateOf(machine: MachineState, healthy: boolean): MachineVerdict['state'] {
  if (machine.stopping) return 'stopping'
  const records = [...machine.services.values()]
  if (healthy) return records.some((record) => standingOf(record) === 'degraded') ? 'degraded' : 'ready'
  const isGivenUp = records.some((record) => record.state === 'failed' && !record.service.optional)
  const wasReady = (machine.boots.at(-1)?.readyAtMs ?? null) !== null
  return isGivenUp || wasReady ? 'unhealthy' : 'starting'
}

const GENERATORS: readonly PlannedService['type'][] = ['comfyui', 'automatic1111', 'ollama']

/**
 * Whether somebody is there for a job: a worker that has all it needs; without workers, something that generates, and
 * the proxy that leads to it; on a machine with neither, everything.
 */
function takesJobs(machine: MachineState): boolean {
  if (machine.stopping) return false
  const records = [...machine.services.values()]
  const workers = records.filter(({ service }) => service.type === 'redis-worker')
  if (workers.length > 0) return workers.some((record) => worksWithAll(record, machine))
  const generators = records.filter(({ service }) => GENERATORS.includes(service.type))
  if (generators.length === 0) return isHealthy(machine)
  const proxies = records.filter(({ service }) => service.type === 'nginx')
  return proxies.every(isSatisfied) && generators.some((record) => worksWithAll(record, machine))
}

function worksWithAll(record: ServiceRecord, { services }: MachineState): boolean {
  return isSatisfied(record) && record.service.waitsFor.every((name) => isSatisfied(services.get(name)))
}
