import type { Plan } from '../../../schema/plan.ts'
import type { Artifact } from '../../artifact.ts'
import { loggerScript, serviceFiles } from './service-directory.ts'

/**
 * Service directories for plain s6-svscan. What s6-rc does in a container is done by `machinegen up`: setup before the
 * start, and the order of the stop.
 */
export function emitLocalTree(plan: Plan, marker: string): Artifact[] {
  return plan.services.flatMap((service) => {
    const directory = `services/${service.name}`
    return [
      ...serviceFiles(plan, service, marker).map((entry) => ({
        path: `${directory}/${entry.name}`,
        mode: entry.mode,
        content: entry.content,
        source: 's6',
      })),
      { path: `${directory}/log/run`, mode: 0o755, content: loggerScript(plan, service, marker), source: 's6' },
    ]
  })
}
