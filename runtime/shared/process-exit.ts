import { constants } from 'node:os'

/** How a process ended. */
export type ProcessExit =
  | { readonly kind: 'exit'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: number }

const NAMES = new Map<number, string>(Object.entries(constants.signals).map(([name, number]) => [number, name]))

/** `SIGTERM` for 15; the number itself where this system has no name for it. */
export function signalName(signal: number): string {
  return NAMES.get(signal) ?? String(signal)
}

/** `exit code 1`, `signal SIGKILL`: for messages. */
export function describeExit(exit: ProcessExit): string {
  return exit.kind === 'exit' ? `exit code ${exit.code}` : `signal ${signalName(exit.signal)}`
}
