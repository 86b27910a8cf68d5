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
  const siblings = plan.services.filter(({ key }) => key === service.key)
  const entries = Object.entries(service.environment)
  const isShared = ([name, value]: [string, string]) =>
    siblings.length > 1 && siblings.every(({ environment }) => environment[name] === value)
  const shared = entries.filter(isShared)
  return {
    sharedDirectory: shared.length === 0 ? null : `${plan.paths.config}/env/${service.key}`,
    shared: Object.fromEntries(shared),
    own: Object.fromEntries(entries.filter((entry) => !isShared(entry))),
  }
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
