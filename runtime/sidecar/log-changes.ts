import type { Log } from './log.ts'
import type { MachineChange } from './machine-keeper.ts'
import { countRestarts, type ServiceRecord } from './machine-state.ts'

/** Writes a line for each change of a service's state. */
export function logChanges(log: Log): (change: MachineChange) => void {
  return (change) => {
    if (change.kind !== 'service') return
    const { before, after } = change
    if (before.state !== after.state || before.observation === null) logState(log, before, after)
  }
}

function logState(log: Log, before: ServiceRecord, record: ServiceRecord): void {
  const { service, state, reason, observation, startupMs } = record
  const context = {
    service: service.name,
    gpu: service.gpu,
    state,
    previous: before.observation === null ? null : before.state,
    reason,
    pid: observation?.status?.pid || null,
    port: service.port,
    restarts: countRestarts(record),
    ...(state === 'ready' ? { startupMs } : {}),
  }
  const why = reason === null ? '' : ` (${reason})`
  log[LEVELS[state] ?? 'info']({ context }, `"${service.name}" is ${state}${why}`)
}

const LEVELS: Partial<Record<ServiceRecord['state'], 'warn' | 'error'>> = { failed: 'error', unready: 'warn' }
