import type { PlannedService } from '../../../schema/plan.ts'
import type { ServiceHistory } from './service-history.ts'

/** Without a restart budget of its own, what is looked at. */
const DEFAULT_WINDOW_MS = 600_000

/** Fewer are bad luck. */
const FEWEST_FLIPS = 4

/**
 * Why a service counts as flapping, `null` for one that does not: its deaths and losses of readiness are a rate over its
 * window, so that one good moment between two bad ones does not hide it.
 */
export function flappingReason(
  { service, history }: { readonly service: PlannedService; readonly history: ServiceHistory },
  nowMs: number,
): string | null {
  const windowMs = service.restart?.windowMs ?? DEFAULT_WINDOW_MS
  const flips = history.flips.filter((atMs) => nowMs - atMs <= windowMs).length
  return flips < FEWEST_FLIPS ? null : `it died or became unready ${flips} times within ${windowMs / 1000} s`
}
