import { rmSync } from 'node:fs'
import type { MachinePaths } from '../../schema/plan.ts'
import { clearDeathTally } from './cleared-deaths.ts'
import { givenUpFile } from './observe-service.ts'

/** How many restarts lately only the sidecar has counted: the `run` of the service pauses for them as for deaths. */
export function faultsFile(paths: Pick<MachinePaths, 'run'>, name: string): string {
  return `${paths.run}/faults/${name}`
}

/**
 * What a person who starts, stops or restarts a service does for it first: it gets its whole restart budget back, and
 * counts as given up no more.
 */
export function giveBackBudget(paths: Pick<MachinePaths, 'run' | 'services'>, name: string): void {
  clearDeathTally(paths, name)
  rmSync(givenUpFile(paths, name), { force: true })
  rmSync(faultsFile(paths, name), { force: true })
}
