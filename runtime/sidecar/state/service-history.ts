import type { PlannedService } from '../../../schema/plan.ts'
import { countsAgainstBudget, type Death } from '../../shared/death-tally.ts'
import { describeExit, type ProcessExit } from '../../shared/process-exit.ts'
import { classifyExit, EXIT_REASONS, type ExitCircumstances, type ExitReason } from './exit-reason.ts'

/** One end of a service, with what was known of it. Times are ms since 1970. */
export interface ServiceExit {
  readonly atMs: number
  /** `null` where nobody saw how. */
  readonly exit: ProcessExit | null
  readonly reason: ExitReason
  readonly outOfMemory: boolean
  /** In words: `exit code 1`, `signal SIGKILL (out of memory)`. */
  readonly text: string
}

/** What is remembered of a service for as long as the machine keeps its volume. */
export interface ServiceHistory {
  /** How often it was started again after a death. */
  readonly restarts: number
  /** Those before this boot. */
  readonly earlierRestarts: number
  /** Deaths in this boot. */
  readonly deaths: number
  readonly exits: Readonly<Record<ExitReason, number>>
  /** The last ends, newest last. */
  readonly lastExits: readonly ServiceExit[]
  /** From launch to readiness, of the last runs that got there, newest last. */
  readonly startupsMs: readonly number[]
  /** The newest record of a death that is counted in here. */
  readonly accounted: string | null
  /** The run that was last seen and whose end is not counted yet. */
  readonly living: string | null
  /** Deaths that use its budget, since a person last gave it back: as many as decide about it, newest last. */
  readonly faults: readonly Fault[]
  /** Restarts in a row for never having become ready. */
  readonly futileStarts: number
  /** Deaths by its own fault and losses of readiness, newest last. */
  readonly flips: readonly number[]
}

export interface Fault {
  readonly atMs: number
  /** The supervisor counts it too; else the sidecar alone knows. */
  readonly inTally: boolean
}

const KEPT_EXITS = 10
const KEPT_STARTUPS = 20
const KEPT_FLIPS = 32

export const NO_HISTORY: ServiceHistory = {
  restarts: 0,
  earlierRestarts: 0,
  deaths: 0,
  exits: Object.fromEntries(EXIT_REASONS.map((reason) => [reason, 0])) as Record<ExitReason, number>,
  lastExits: [],
  startupsMs: [],
  accounted: null,
  living: null,
  faults: [],
  futileStarts: 0,
  flips: [],
}

/** The history at the beginning of the next boot: nothing runs, and its budget is whole. */
export function nextBootHistory(history: ServiceHistory): ServiceHistory {
  return { ...forgive(history), earlierRestarts: history.restarts, deaths: 0, living: null }
}

/** A person gives it its whole budget back. */
export function forgive(history: ServiceHistory): ServiceHistory {
  if (history.faults.length === 0 && history.futileStarts === 0 && history.flips.length === 0) return history
  return { ...history, faults: [], futileStarts: 0, flips: [] }
}

/**
 * The deaths that are not counted yet: those behind the newest counted one. Where that one is gone, the tally was begun
 * anew and all are. By their order and never by their time, which a clock that was set makes meaningless.
 */
export function freshDeaths(history: ServiceHistory, deaths: readonly Death[]): readonly Death[] {
  const counted = history.accounted === null ? -1 : deaths.findLastIndex(({ id }) => id === history.accounted)
  return deaths.slice(counted + 1)
}

/** Counts a death. `circumstances` are those of the run that ended. */
export function countDeath(
  history: ServiceHistory,
  service: PlannedService,
  death: Death,
  circumstances: ExitCircumstances,
): ServiceHistory {
  const reason = classifyExit(death.exit, service, circumstances)
  const outOfMemory = reason === 'oom'
  const text = outOfMemory ? `${describeExit(death.exit)} (out of memory)` : describeExit(death.exit)
  const inTally = countsAgainstBudget(death.exit, service)
  const isFault = reason === 'liveness' || (inTally && OWN_FAULTS.has(reason))
  const counted = addExit(history, { atMs: death.atMs, exit: death.exit, reason, outOfMemory, text })
  return {
    ...counted,
    accounted: death.id,
    faults: isFault ? keepLast([...history.faults, { atMs: death.atMs, inTally }], budgetOf(service)) : history.faults,
    flips: isFault ? keepLast([...history.flips, death.atMs], KEPT_FLIPS) : history.flips,
  }
}

/** Counts an end that no record tells of. */
export function countUnseenDeath(history: ServiceHistory, nowMs: number): ServiceHistory {
  const text = 'its supervisor was killed'
  return addExit(history, { atMs: nowMs, exit: null, reason: 'unknown', outOfMemory: false, text })
}

/** It became ready. */
export function countStartup(history: ServiceHistory, startupMs: number): ServiceHistory {
  return { ...history, futileStarts: 0, startupsMs: keepLast([...history.startupsMs, startupMs], KEPT_STARTUPS) }
}

/** It was ready and is so no more. */
export function countFlip(history: ServiceHistory, nowMs: number): ServiceHistory {
  return { ...history, flips: keepLast([...history.flips, nowMs], KEPT_FLIPS) }
}

const OWN_FAULTS: ReadonlySet<ExitReason> = new Set(['clean', 'error', 'signal', 'oom'])

function addExit(history: ServiceHistory, exit: ServiceExit): ServiceHistory {
  return {
    ...history,
    deaths: history.deaths + 1,
    exits: { ...history.exits, [exit.reason]: (history.exits[exit.reason] ?? 0) + 1 },
    lastExits: keepLast([...history.lastExits, exit], KEPT_EXITS),
  }
}

const budgetOf = ({ restart }: PlannedService): number => restart?.maxAttempts ?? 0

const keepLast = <T>(list: readonly T[], count: number): readonly T[] =>
  list.length > count ? list.slice(list.length - count) : list
