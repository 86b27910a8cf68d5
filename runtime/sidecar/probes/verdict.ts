import type { PlannedService } from '../../../schema/plan.ts'
import type { ProbeOutcome } from './probe.ts'

/**
 * What the probes of one run of a service have shown so far. `ready` opens and closes its gate, `failures` and `dead` are
 * what it is restarted for. Times are ms since 1970.
 */
export interface ProbeVerdict {
  readonly ready: boolean
  readonly readyAtMs: number | null
  /** Probes in a row that succeeded since it was last unready. */
  readonly successes: number
  /** Failed probes in a row, at most one an interval. */
  readonly failures: number
  readonly lastFailureAtMs: number
  readonly problem: string | null
  /** It runs and will never work again without a restart, whatever the next probe says. */
  readonly dead: boolean
}

export const UNPROVEN: ProbeVerdict = {
  ready: false,
  readyAtMs: null,
  successes: 0,
  failures: 0,
  lastFailureAtMs: 0,
  problem: null,
  dead: false,
}

/** One that was ready and failed must succeed this often in a row: a service that flaps is not ready every other moment. */
const SUCCESSES_TO_RETURN = 2

/** Slow answers in a row that close the gate; fewer where the service is given up after fewer. */
const SLOW_ANSWERS_TO_CLOSE = 2

/**
 * The verdict after one more probe.
 * - Startup: until it was ready once, failures do not count; the startup timeout alone limits it.
 * - Readiness: the first success opens the gate, a refusal closes it at once, slow answers by their second.
 * - Liveness: `liveness.failures` failed probes in a row, counted in its intervals, or one that says `live: false`.
 */
export function judge(
  before: ProbeVerdict,
  outcome: ProbeOutcome,
  { intervalMs, failures: limit }: PlannedService['liveness'],
  nowMs: number,
): ProbeVerdict {
  if (before.dead) return before
  if (outcome.ok) return judgeSuccess(before, nowMs)
  const { problem, live } = outcome
  const failed = { ...before, successes: 0, problem }
  if (live === false) return { ...failed, ready: false, dead: true }
  if (before.readyAtMs === null) return failed
  if (live === true) return { ...failed, ready: false, failures: 0, lastFailureAtMs: 0 }
  // Probes come faster while it is unready; the patience that the plan gives is counted in its own intervals.
  const counts = nowMs - before.lastFailureAtMs >= intervalMs * 0.8
  const failures = before.failures + (counts ? 1 : 0)
  const ready = before.ready && outcome.patient && failures < Math.min(SLOW_ANSWERS_TO_CLOSE, limit)
  return { ...failed, ready, failures, lastFailureAtMs: counts ? nowMs : before.lastFailureAtMs }
}

function judgeSuccess(before: ProbeVerdict, nowMs: number): ProbeVerdict {
  if (before.ready && before.failures === 0 && before.problem === null) return before
  const successes = before.successes + 1
  const ready = before.ready || before.readyAtMs === null || successes >= SUCCESSES_TO_RETURN
  // What went wrong is told until it is ready again.
  if (!ready) return { ...before, successes, failures: 0, lastFailureAtMs: 0 }
  return { ...UNPROVEN, ready, readyAtMs: before.readyAtMs ?? nowMs, successes }
}

/** Why it has to be restarted by what its probes say; `null` while it lives. */
export function deathReason(
  { dead, failures, problem }: Pick<ProbeVerdict, 'dead' | 'failures' | 'problem'>,
  liveness: Pick<PlannedService['liveness'], 'failures'>,
): string | null {
  if (dead) return problem
  if (failures === 0 || failures < liveness.failures) return null
  return `${failures} probes in a row failed, the last one: ${problem}`
}
