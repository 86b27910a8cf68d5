import type { Plan } from '../../schema/plan.ts'
import { type BootPhase, bootPhases, type PhaseSubject } from '../shared/boot-phases.ts'
import { readProgress } from '../shared/provision-progress.ts'
import type { MachineState, ServiceRecord } from './machine-state.ts'

/** The phases of this boot, by what is known of the services now. Reads a small file for each task. */
export function machinePhases(
  { paths }: Pick<Plan, 'paths'>,
  { services, startedAtMs, boots }: MachineState,
): readonly BootPhase[] {
  // The sidecar may have been started again meanwhile; the boot has not.
  const bootedAtMs = boots.at(-1)?.startedAtMs ?? startedAtMs
  return bootPhases(
    [...services.values()].map((record) => subjectOf(paths, record, bootedAtMs)),
    bootedAtMs,
  )
}

/** Of a task that is over the supervisor knows no more than that; it has noted its times itself. */
function subjectOf(paths: Plan['paths'], record: ServiceRecord, machineStartedAtMs: number): PhaseSubject {
  const { service, state, reason, launchedAtMs, readyAtMs, sinceMs } = record
  if (service.type === 'sidecar') {
    return { service, state, reason, launchedAtMs: machineStartedAtMs, readyAtMs: state === 'ready' ? sinceMs : null }
  }
  if (service.kind === 'longrun') return { service, state, reason, launchedAtMs, readyAtMs }
  const progress = service.type === 'provision' ? readProgress(paths, service.name) : null
  return {
    service,
    state,
    reason,
    launchedAtMs: progress === null ? launchedAtMs : Date.parse(progress.startedAt),
    readyAtMs: state !== 'done' ? null : progress === null ? sinceMs : Date.parse(progress.at),
  }
}
