import { isHealthy, isSatisfied, type MachineState, type ServiceRecord } from '../machine-state.ts'

/** How a service stands in the verdict about the machine. */
export type Standing = 'healthy' | 'unhealthy' | 'degraded' | 'stopped'

export interface MachineVerdict {
  readonly healthy: boolean
  /** Jobs can be taken. */
  readonly ready: boolean
  /** In a word, for people. */
  readonly state: 'starting' | 'ready' | 'degraded' | 'unhealthy' | 'stopping'
}

export function standingOf(record: ServiceRecord): Standing {
  if (isSatisfied(record)) return 'healthy'
  return record.service.optional ? 'degraded' : 'unhealthy'
}

export function verdictOf(machine: MachineState): MachineVerdict {
  const healthy = isHealthy(machine)
  return { healthy, ready: healthy, state: machine.stopping ? 'stopping' : healthy ? 'ready' : 'starting' }
}
