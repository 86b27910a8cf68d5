import type { Plan, PlannedService } from '../../../schema/plan.ts'
import type { Artifact } from '../../artifact.ts'
import { artifactPath } from '../artifact-path.ts'
import { envdirFile } from '../quote/envdir.ts'

/** The environment of a service, by where its files stand. */
export interface SplitEnvironment {
  /** Directory of what all instances of the service have alike; `null` where it has one instance, or nothing alike. */
  readonly sharedDirectory: string | null
  /** The variables that stand in that directory. */
  readonly shared: ReadonlySet<string>
  /** The others, with their values. */
  readonly own: readonly (readonly [name: string, value: string])[]
}

/**
 * What the instances of a service have alike stands once: a worker has fifty variables, of which ten differ from GPU to
 * GPU, and those ten are what one looks for in its `env/`.
 */
export function splitEnvironment(plan: Plan, service: PlannedService): SplitEnvironment {
  const known = splitOfService.get(service)
  if (known !== undefined) return known
  const split = computeSplit(plan, service)
  splitOfService.set(service, split)
  return split
}

const splitOfService = new WeakMap<PlannedService, SplitEnvironment>()

function computeSplit(plan: Plan, service: PlannedService): SplitEnvironment {
  const shared = sharedNames(plan).get(service.key) ?? NONE
  const own = Object.keys(service.environment)
    .filter((name) => !shared.has(name))
    .map((name) => [name, service.environment[name] ?? ''] as const)
  return { sharedDirectory: shared.size === 0 ? null : `${plan.paths.config}/env/${service.key}`, shared, own }
}

const NONE: ReadonlySet<string> = new Set()

/** Of the plan at hand: every service asks for it, and comparing all instances for each would be quadratic. */
const namesOfPlan = new WeakMap<Plan, ReadonlyMap<string, ReadonlySet<string>>>()

/** By the key of a service: the variables that all of its instances have, with one value. */
function sharedNames(plan: Plan): ReadonlyMap<string, ReadonlySet<string>> {
  const known = namesOfPlan.get(plan)
  if (known !== undefined) return known
  const names = new Map<string, Set<string>>()
  const firstOfKey = new Map<string, PlannedService>()
  for (const service of plan.services) {
    const first = firstOfKey.get(service.key)
    if (first === undefined) {
      firstOfKey.set(service.key, service)
      continue
    }
    const alike = names.get(service.key) ?? new Set(Object.keys(first.environment))
    for (const name of alike) if (service.environment[name] !== first.environment[name]) alike.delete(name)
    names.set(service.key, alike)
  }
  namesOfPlan.set(plan, names)
  return names
}

/** The files of all shared directories, for both targets. */
export function emitSharedEnvironment(plan: Plan): Artifact[] {
  const firstOfKey = new Map(plan.services.map((service) => [service.key, service]))
  return [...firstOfKey.values()].flatMap((service) => {
    const { sharedDirectory, shared } = splitEnvironment(plan, service)
    return [...shared].map((name) => ({
      path: artifactPath(plan, `${sharedDirectory}/${name}`),
      mode: 0o644,
      content: envdirFile(service.environment[name] ?? ''),
      source: 's6',
    }))
  })
}
