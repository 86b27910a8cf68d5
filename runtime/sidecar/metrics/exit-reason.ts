import { constants } from 'node:os'
import type { ProcessExit } from '../../shared/process-exit.ts'
import type { ServiceRecord } from '../machine-state.ts'

/**
 * - `success`, `failure`: it ended by itself, with exit code 0 or another one
 * - `stopped`: by a signal that asks for the end: SIGTERM, SIGINT, SIGQUIT, SIGHUP
 * - `killed`: SIGKILL, of the supervisor, an operator or a kernel without memory
 * - `crashed`: any other signal; a fault of the program
 */
export const EXIT_REASONS = ['success', 'failure', 'stopped', 'killed', 'crashed'] as const

export type ExitReason = (typeof EXIT_REASONS)[number]

const { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGKILL } = constants.signals
const STOPPING = new Set<number>([SIGTERM, SIGINT, SIGQUIT, SIGHUP])
const HIGHEST_SIGNAL = 64

/** Why a process ended, of the few reasons that are told apart. Shells give the signal of what they ran as 128 and more. */
export function exitReason(exit: ProcessExit): ExitReason {
  if (exit.kind === 'signal') return signalReason(exit.signal)
  if (exit.code === 0) return 'success'
  const signal = exit.code - 128
  return signal > 0 && signal <= HIGHEST_SIGNAL ? signalReason(signal) : 'failure'
}

function signalReason(signal: number): ExitReason {
  if (STOPPING.has(signal)) return 'stopped'
  return signal === SIGKILL ? 'killed' : 'crashed'
}

/** How often a service ended for each reason, as far back as its supervisor remembers. */
export function countExits({ observation }: ServiceRecord): Readonly<Record<ExitReason, number>> {
  const counts = { success: 0, failure: 0, stopped: 0, killed: 0, crashed: 0 }
  for (const { exit } of observation?.deaths ?? []) counts[exitReason(exit)] += 1
  return counts
}
