import type { Context } from './context.ts'
import { UsageError } from './failure.ts'
import { resolveTargets, type Targets } from './resolve-targets.ts'

/** The services that the request is about. Throws a UsageError where it names none. */
export function targetsOf({ plan, request }: Pick<Context, 'plan' | 'request'>): Targets {
  const targets = resolveTargets(plan, request)
  if (typeof targets === 'string') throw new UsageError(targets)
  return targets
}
