import { wasRequested } from '../../shared/death-tally.ts'
import type { ServiceObservation } from '../../shared/observe-service.ts'
import type { ServiceHistory } from './service-history.ts'
import type { OperatorStop, ServiceRecord } from './service-record.ts'

/** An order needs a moment to reach the supervisor; until then the service still counts as wanted. */
const ORDER_ARRIVES_MS = 2000

/**
 * Whether somebody wants the service to stay down: the supervisor says that it is not to run, and neither was it given
 * up, nor is it a task that has ended, nor has this boot not come to it yet. `null` where nobody does.
 */
export function findStop(
  { service, stop, startOrderedAtMs, history }: ServiceRecord,
  { supervised, status, givenUp, allDeaths }: ServiceObservation,
  stopping: boolean,
  nowMs: number,
): OperatorStop | null {
  if (stopping || !supervised || status === null) return stop
  if (status.wantUp) return stop !== null && nowMs - stop.atMs < ORDER_ARRIVES_MS ? stop : null
  if (startOrderedAtMs !== null && nowMs - startOrderedAtMs < ORDER_ARRIVES_MS) return null
  if (givenUp !== null || stop !== null) return givenUp === null ? stop : null
  const last = allDeaths.at(-1)
  const hasRun = status.up || history.deaths > 0 || last !== undefined
  const hasEnded = service.kind === 'task' && !status.up && (last === undefined || !wasRequested(last.exit, service))
  return hasRun && !hasEnded ? { atMs: nowMs, operator: null, reason: null } : null
}

/** The order to start it for as long as nothing shows that it came through: it ran since then, or time is over. */
export function pendingStart(
  { startOrderedAtMs, history }: ServiceRecord,
  { status }: ServiceObservation,
  after: ServiceHistory,
  nowMs: number,
): number | null {
  if (startOrderedAtMs === null || nowMs - startOrderedAtMs >= ORDER_ARRIVES_MS) return null
  return status?.up || after.deaths > history.deaths ? null : startOrderedAtMs
}

export function describeStop({ operator, reason }: OperatorStop): string {
  const who = operator === null ? 'stopped by an order to its supervisor' : `stopped by ${operator}`
  return reason === null ? who : `${who}: ${reason}`
}
