import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import type { Plan } from '../../schema/plan.ts'
import { serviceDirectory, waitingDirectory } from '../shared/observe-service.ts'
import { progressDirectory } from '../shared/provision-progress.ts'
import { isSupervised } from '../shared/service-control.ts'
import { decodeStatus } from '../shared/supervise-status.ts'

/**
 * Removes gates, waits, progress and the sidecar's words to services that an earlier boot left: a `/run` that outlives a
 * container, a machine that was killed. What belongs to a service that this supervisor has run already stays, so that setup can be repeated on a running machine.
 */
export function clearStaleGates(plan: Pick<Plan, 'paths' | 'services'>): void {
  const known = new Map(plan.services.map((service) => [service.name, service]))
  const told = ['faults', 'held'].map((name) => `${plan.paths.run}/${name}`)
  const directories = [plan.paths.gates, waitingDirectory(plan.paths), progressDirectory(plan.paths), ...told]
  for (const directory of directories.filter((path) => existsSync(path))) {
    for (const name of readdirSync(directory)) {
      const service = known.get(name.replace(/\.json$/, ''))
      if (service === undefined || !hasRun(serviceDirectory(plan.paths, name)))
        rmSync(`${directory}/${name}`, { force: true })
    }
  }
}

function hasRun(directory: string): boolean {
  if (!isSupervised(directory)) return false
  const status = decodeStatus(readFileSync(`${directory}/supervise/status`))
  const tally = statSync(`${directory}/supervise/death_tally`, { throwIfNoEntry: false })
  return (status?.pid ?? 0) !== 0 || (tally?.size ?? 0) > 0
}
