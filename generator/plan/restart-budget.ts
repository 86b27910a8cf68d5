import type { PlannedService, RestartBudget } from '../../schema/plan.ts'
import { childPointer } from '../load/origin.ts'
import type { Finding } from '../services/service-type.ts'
import { formatDuration } from './quantities.ts'

/** s6-supervise itself pauses a second before it starts a service again that was not ready (s6 docs, servicedir). */
export const SUPERVISOR_PAUSE_MS = 1000

/**
 * How long `run` waits before each start, by the number of deaths in the window; the last entry holds for all further
 * ones. The supervisor's own pause counts: the first restart after a pause of 1 s comes without a wait.
 */
export function backoffDelaysMs(budget: RestartBudget): number[] {
  const delays = [0]
  // Grown step by step: no pause at all stays none, where a power of the factor would be infinite.
  let pause = budget.backoff.initialMs
  for (let deaths = 1; deaths < budget.maxAttempts; deaths += 1) {
    const delay = Math.max(0, Math.round(Math.min(pause, budget.backoff.maxMs) - SUPERVISOR_PAUSE_MS))
    delays.push(delay)
    if (pause >= budget.backoff.maxMs) break
    pause *= budget.backoff.factor
  }
  // The last one holds for all further deaths: it need not stand there a thousand times.
  while (delays.length > 1 && delays.at(-1) === delays.at(-2)) delays.pop()
  return delays
}

/** Warns where deaths come so slowly that the window forgets them: a crash loop would never end. */
export function checkRestartBudget(services: readonly PlannedService[], report: (finding: Finding) => void): void {
  const seen = new Set<string>()
  for (const { key, restart } of services) {
    if (restart === null || seen.has(key)) continue
    seen.add(key)
    const delays = backoffDelaysMs(restart)
    const last = delays.at(-1) ?? 0
    const pauses = Array.from(
      { length: restart.maxAttempts - 1 },
      (_, index) => (delays[index + 1] ?? last) + SUPERVISOR_PAUSE_MS,
    )
    const spanMs = pauses.reduce((sum, pause) => sum + pause, 0)
    if (spanMs < restart.windowMs) continue
    report({
      code: 'RESTART_BUDGET_UNREACHABLE',
      severity: 'warning',
      pointer: ['services', key, 'restart', 'window'].reduce<string>(childPointer, ''),
      message: `cannot give "${key}" up after ${restart.maxAttempts} deaths in ${formatDuration(restart.windowMs)}: its pauses alone take ${formatDuration(spanMs)}`,
      hint: 'lengthen restart.window, or shorten restart.backoff',
    })
  }
}
