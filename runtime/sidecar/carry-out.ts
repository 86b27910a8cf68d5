import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import type { MachinePaths } from '../../schema/plan.ts'
import { writeFileAtomically } from '../shared/atomic-file.ts'
import { faultsFile } from '../shared/give-back-budget.ts'
import { givenUpFile, serviceDirectory } from '../shared/observe-service.ts'
import { killProcessGroup } from '../shared/process-group.ts'
import { CONTROL, sendControl } from '../shared/service-control.ts'
import type { ServiceRecord } from './machine-state.ts'
import type { Action } from './policy.ts'

type ControlPaths = Pick<MachinePaths, 'run' | 'services'>

/** Gives the order to the supervisor; throws with the reason where that cannot be done. */
export function carryOut(paths: ControlPaths, { kind, reason }: Action, record: ServiceRecord): void {
  const { name } = record.service
  if (kind === 'give-up') writeFileAtomically(givenUpFile(paths, name), `${reason}\n`, 0o644)
  // Not the supervisor's own order for a group: older ones do not have it. Its order for the process comes along.
  if (kind === 'kill') killProcessGroup(record.observation?.status?.pid ?? 0)
  const sent = sendControl(serviceDirectory(paths, name), ORDERS[kind])
  if (sent === 'not-supervised') throw new Error('no supervisor looks after it')
}

const ORDERS: Readonly<Record<Action['kind'], string>> = {
  restart: CONTROL.restart,
  kill: CONTROL.kill,
  'give-up': CONTROL.down,
}

/**
 * Tells the `run` of a service how many restarts lately only the sidecar has counted: it pauses for them as for deaths
 * before it starts again.
 */
export function tellFaults(paths: Pick<MachinePaths, 'run'>, name: string, count: number): void {
  const file = faultsFile(paths, name)
  if (count === 0) {
    rmSync(file, { force: true })
    return
  }
  mkdirSync(`${paths.run}/faults`, { recursive: true })
  writeFileSync(file, `${count}\n`)
}
