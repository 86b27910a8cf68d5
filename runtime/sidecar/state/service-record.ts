import type { PlannedService } from '../../../schema/plan.ts'
import type { ServiceObservation } from '../../shared/observe-service.ts'
import type { StateName } from '../../shared/service-state.ts'
import { type ProbeVerdict, UNPROVEN } from '../probes/verdict.ts'
import type { ExitReason } from './exit-reason.ts'
import { NO_HISTORY, type ServiceHistory } from './service-history.ts'

/** Why a run of a service is told to end. */
export type OrderCause = 'liveness' | 'startup' | 'give-up' | 'dependency' | 'operator'

/** What counts as the reason of a death that was ordered for a cause. */
export const REASON_OF_CAUSE: Readonly<
  Record<OrderCause, Extract<ExitReason, 'liveness' | 'dependency' | 'operator'>>
> = { liveness: 'liveness', startup: 'liveness', 'give-up': 'liveness', dependency: 'dependency', operator: 'operator' }

/** An order to one run of a service to end. */
export interface RestartOrder {
  readonly incarnation: string
  readonly atMs: number
  readonly killed: boolean
  readonly cause: OrderCause
  readonly reason: string
}

/** Somebody wants the service to stay down. */
export interface OperatorStop {
  readonly atMs: number
  /** Who it was; `null` for an order to the supervisor that did not come through the sidecar. */
  readonly operator: string | null
  readonly reason: string | null
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
  readonly stop: OperatorStop | null
  /** Its start was ordered then, and has not come through yet. */
  readonly startOrderedAtMs: number | null
  /** When its log last told of an allocation that failed. */
  readonly outOfMemoryAtMs: number | null
  readonly history: ServiceHistory
}

export function initialRecord(service: PlannedService, nowMs: number): ServiceRecord {
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
    stop: null,
    startOrderedAtMs: null,
    outOfMemoryAtMs: null,
    history: NO_HISTORY,
  }
}

/** What is kept of a record for the next sidecar: all but what the plan and the supervisor say again. */
export type KeptRecord = Omit<ServiceRecord, 'service' | 'observation'>

export function keptOf({ service: _, observation: __, ...kept }: ServiceRecord): KeptRecord {
  return kept
}
