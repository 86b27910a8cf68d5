import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { MachinePaths } from '../../schema/plan.ts'

/**
 * Where the records of deaths go when a service gets its whole restart budget back, since its supervisor's tally is
 * emptied then: whoever counts deaths reads both. The scripts of the services write it too (`forget_deaths`).
 */
export function clearedDeathsFile(paths: Pick<MachinePaths, 'run'>, service: string): string {
  return `${paths.run}/deaths/${service}`
}

/** Gives a service its whole restart budget back. A death in the same moment is not lost. */
export function clearDeathTally(paths: Pick<MachinePaths, 'run' | 'services'>, service: string): void {
  const tally = `${paths.services}/${service}/supervise/death_tally`
  const aside = `${tally}.cleared`
  try {
    // The supervisor opens the file anew for each death: the next one makes a new file.
    renameSync(tally, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  const file = clearedDeathsFile(paths, service)
  mkdirSync(dirname(file), { recursive: true })
  appendFileSync(file, readFileSync(aside))
  rmSync(aside, { force: true })
}
