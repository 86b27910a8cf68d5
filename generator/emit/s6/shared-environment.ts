import type { Plan, PlannedService } from '../../../schema/plan.ts'
import type { Artifact } from '../../artifact.ts'
import { artifactPath } from '../artifact-path.ts'
import { envdirFile } from '../quote/envdir.ts'

/** The environment of a service, by where its files stand. */
export interface SplitEnvironment {
  /** Directory of what all instances of the service have alike; `null` where it has one instance, or nothing alike. */
  readonly sharedDirectory: string | null
  readonly shared: Readonly<Record<string, string>>
  readonly own: Readonly<Record<string, string>>
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
  const alike = sharedNames(plan).get(service.key) ?? new Set()
  const shared: Record<string, string> = {}
  const own: Record<string, string> = {}
  for (const [name, value] of Object.entries(service.environment)) {
    if (alike.has(name)) shared[name] = value
    else own[name] = value
  }
  return { sharedDirectory: alike.size === 0 ? null : `${plan.paths.config}/env/${service.key}`, shared, own }
}

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
    return Object.entries(shared).map(([name, value]) => ({
      path: artifactPath(plan, `${sharedDirectory}/${name}`),
      mode: 0o644,
      content: envdirFile(value),
      source: 's6',
    }))
  })
}
