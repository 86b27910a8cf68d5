import type { PlannedService } from '../../../schema/plan.ts'
import { wasRequested } from '../../shared/death-tally.ts'
import type { ProcessExit } from '../../shared/process-exit.ts'

/**
 * Why a run of a service ended.
 * - `clean`, `error`, `signal`: by itself, or by somebody unknown
 * - `oom`: for want of memory, the machine's or the GPU's
 * - `liveness`: the sidecar ended it, since it did not work or did not become ready
 * - `dependency`: the sidecar restarted it after one that it depends on
 * - `operator`: somebody asked for it; `shutdown`: the machine stopped
 * - `unknown`: nobody saw it, as its supervisor was killed too
 */
export const EXIT_REASONS = [
  'clean',
  'error',
  'signal',
  'oom',
  'liveness',
  'dependency',
  'operator',
  'shutdown',
  'unknown',
] as const

export type ExitReason = (typeof EXIT_REASONS)[number]

/** What was known of a run when it ended. */
export interface ExitCircumstances {
  readonly stopping: boolean
  /** Why it had been told to end; `null` where nobody told it. */
  readonly ordered: Extract<ExitReason, 'liveness' | 'dependency' | 'operator'> | null
  /** It is not to be started again, and was not given up. */
  readonly stopped: boolean
  /** Its own log told of an allocation that failed, shortly before. */
  readonly saidOutOfMemory: boolean
  /** The kernel has killed for want of memory since it was last asked; asked only where that may be the reason. */
  readonly kernelKilledForMemory: () => boolean
}

const SIGKILL = 9

export function classifyExit(
  exit: ProcessExit,
  service: Pick<PlannedService, 'stop'>,
  circumstances: ExitCircumstances,
): ExitReason {
  const { stopping, ordered, stopped, saidOutOfMemory, kernelKilledForMemory } = circumstances
  if (stopping) return 'shutdown'
  if (ordered !== null) return ordered
  if (stopped) return 'operator'
  const signal = exit.kind === 'signal' ? exit.signal : exit.code - 128
  if (signal === SIGKILL && kernelKilledForMemory()) return 'oom'
  if (exit.kind === 'exit' && exit.code === 0) return 'clean'
  if (saidOutOfMemory) return 'oom'
  if (wasRequested(exit, service)) return 'operator'
  return exit.kind === 'signal' ? 'signal' : 'error'
}
