import type { ServiceObservation } from '../../shared/observe-service.ts'
import { countDeath, countUnseenDeath, freshDeaths, type ServiceHistory } from './service-history.ts'
import { REASON_OF_CAUSE, type ServiceRecord } from './service-record.ts'

export interface DeathCircumstances {
  /** The run that goes on now. */
  readonly incarnation: string | null
  readonly stopped: boolean
  readonly stopping: boolean
  /** A supervisor that comes up empties the tally, but perhaps after it was read: what is older is of another boot. */
  readonly bootStartedAtMs: number
  readonly nowMs: number
  readonly kernelKilledForMemory: () => boolean
}

/** A log that told of a failed allocation explains a death for so long. */
const OUT_OF_MEMORY_MS = 30_000

/**
 * The history with all deaths counted that the supervisor has noted since the last look, one or, after the sidecar was
 * away, many. What was known of the run that was seen last holds for the first of them only, and that it was to stay down for
 * the last.
 */
export function accountDeaths(
  { service, history: before, order, outOfMemoryAtMs }: ServiceRecord,
  { allDeaths, status }: ServiceObservation,
  { incarnation, stopped, stopping, bootStartedAtMs, nowMs, kernelKilledForMemory }: DeathCircumstances,
): ServiceHistory {
  const fresh = freshDeaths(before, allDeaths)
  const obeyed = order !== null && order.incarnation === before.living ? order : null
  let history = before
  for (const [index, death] of fresh.entries()) {
    const isFirst = index === 0
    const isEarlier = death.atMs < bootStartedAtMs
    const counted = countDeath(history, service, death, {
      stopping: stopping || isEarlier,
      ordered: isFirst && obeyed !== null ? REASON_OF_CAUSE[obeyed.cause] : null,
      stopped: stopped && index === fresh.length - 1,
      saidOutOfMemory: isFirst && outOfMemoryAtMs !== null && Math.abs(death.atMs - outOfMemoryAtMs) < OUT_OF_MEMORY_MS,
      kernelKilledForMemory,
    })
    // The end of an earlier boot; nothing started it again.
    history = isEarlier ? { ...counted, deaths: history.deaths } : counted
    if (isFirst && obeyed?.cause === 'startup') history = { ...history, futileStarts: history.futileStarts + 1 }
  }
  const { living } = history
  const wasReplaced = fresh.length === 0 && living !== null && incarnation !== null && living !== incarnation
  if (wasReplaced) history = countUnseenDeath(history, nowMs)
  const nowLiving = isOver(status, allDeaths) ? null : (incarnation ?? (fresh.length > 0 ? null : living))
  const restarts = history.earlierRestarts + (status?.up ? history.deaths : Math.max(0, history.deaths - 1))
  if (nowLiving === history.living && restarts === history.restarts) return history
  return { ...history, living: nowLiving, restarts }
}

/** The death of the run that the status still tells of is noted already: a supervisor writes the status last. */
function isOver(status: ServiceObservation['status'], deaths: ServiceObservation['allDeaths']): boolean {
  const last = deaths.at(-1)
  return status !== null && last !== undefined && last.atMs > status.changedAtMs
}
