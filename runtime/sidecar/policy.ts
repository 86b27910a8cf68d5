import { isSatisfied, type MachineState, type ServiceRecord } from './machine-state.ts'
import { deathReason } from './probes/verdict.ts'

/** What the sidecar tells a supervisor to do. */
export interface Action {
  /** `restart`: the down signal, s6 starts it again. `kill`: SIGKILL, for one that did not heed it. */
  readonly kind: 'restart' | 'kill'
  readonly service: string
  readonly incarnation: string
  readonly reason: string
}

/**
 * What should be done now. Only services that run and are meant to are touched: whatever an operator stopped or s6 gave
 * up stays down, and during a farewell everything is left alone.
 */
export function decide(machine: MachineState, nowMs: number): readonly Action[] {
  if (machine.stopping) return []
  return [...machine.services.values()].flatMap((record) => decideFor(machine, record, nowMs) ?? [])
}

function decideFor(machine: MachineState, record: ServiceRecord, nowMs: number): Action | null {
  const { service, incarnation, order } = record
  if (incarnation === null || service.type === 'sidecar') return null
  const act = (kind: Action['kind'], reason: string): Action => ({ kind, service: service.name, incarnation, reason })
  if (order?.incarnation === incarnation) {
    const isOverdue = !order.killed && nowMs - order.atMs >= service.stop.timeoutMs
    return isOverdue
      ? act('kill', `${service.stop.signal} did not end it within ${service.stop.timeoutMs / 1000} s`)
      : null
  }
  if (record.launchedAtMs === null || service.kind === 'task') return null
  const reason =
    deathReason(record, service.liveness) ??
    overdueReason(record, record.launchedAtMs, nowMs) ??
    renewedDependency(machine, record)
  return reason === null ? null : act('restart', reason)
}

function overdueReason(
  { readyAtMs, service, problem }: ServiceRecord,
  launchedAtMs: number,
  nowMs: number,
): string | null {
  if (readyAtMs !== null || nowMs - launchedAtMs < service.startupTimeoutMs) return null
  return `not ready within ${service.startupTimeoutMs / 1000} s${problem === null ? '' : `: ${problem}`}`
}

/** It was launched beside another run of a service than the one that is ready now. */
function renewedDependency(machine: MachineState, record: ServiceRecord): string | null {
  if (record.service.onDependencyRestart !== 'restart') return null
  const renewed = record.service.waitsFor.find((name) => {
    const other = machine.services.get(name)
    if (other === undefined || other.incarnation === null || !isSatisfied(other)) return false
    return other.incarnation !== record.launchedBeside[name]
  })
  return renewed === undefined ? null : `"${renewed}" was restarted`
}
