import type { PlannedService } from '../../schema/plan.ts'

type Stopping = Pick<PlannedService, 'name' | 'type' | 'stopsBefore'>

/**
 * The services that can be told to stop now: everything that must stop before them is down. The sidecar is the last, so
 * that it sees all the others go.
 */
export function nextToStop(
  services: readonly Stopping[],
  down: ReadonlySet<string>,
  told: ReadonlySet<string>,
): string[] {
  return services
    .filter(({ name }) => !told.has(name) && !down.has(name))
    .filter(({ name, type }) =>
      services.every(
        (other) =>
          other.name === name || down.has(other.name) || !(type === 'sidecar' || other.stopsBefore.includes(name)),
      ),
    )
    .map(({ name }) => name)
}
