import { isSatisfied, type MachineState, type ServiceRecord } from './machine-state.ts'
import { deathReason } from './probes/verdict.ts'
import { spentBudget } from './restart-budget.ts'
import type { OrderCause } from './state/service-record.ts'

/** What the sidecar tells a supervisor to do with one run of a service. */
export interface Action {
  /**
   * `restart`: the stop signal, s6 starts it again. `kill`: SIGKILL to its whole process group, for one that did not heed
   * it. `give-up`: it is ended and stays down, until a person starts it.
   */
  readonly kind: 'restart' | 'kill' | 'give-up'
  readonly service: string
  readonly incarnation: string
  readonly cause: OrderCause
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
  const act = (kind: Action['kind'], cause: OrderCause, reason: string): Action => ({
    kind,
    service: service.name,
    incarnation,
    cause,
    reason,
  })
  if (order?.incarnation === incarnation) {
    const isOverdue = !order.killed && nowMs - order.atMs >= service.stop.timeoutMs
    if (!isOverdue) return null
    return act('kill', order.cause, `${service.stop.signal} did not end it within ${service.stop.timeoutMs / 1000} s`)
  }
  if (record.launchedAtMs === null || service.kind === 'task') return null
  const fault = findFault(record, record.launchedAtMs, nowMs)
  if (fault !== null) {
    const spent = spentBudget(record, fault.reason, nowMs)
    return spent === null ? act('restart', fault.cause, fault.reason) : act('give-up', 'give-up', spent)
  }
  const renewed = renewedDependency(machine, record)
  return renewed === null ? null : act('restart', 'dependency', renewed)
}

interface FoundFault {
  readonly cause: 'liveness' | 'startup'
  readonly reason: string
}

function findFault(record: ServiceRecord, launchedAtMs: number, nowMs: number): FoundFault | null {
  const dead = deathReason(record, record.service.liveness)
  if (dead !== null) return { cause: record.readyAtMs === null ? 'startup' : 'liveness', reason: dead }
  const overdue = overdueReason(record, launchedAtMs, nowMs)
  return overdue === null ? null : { cause: 'startup', reason: overdue }
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
