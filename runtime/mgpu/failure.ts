/** Exit codes, as all of machinegen's commands have them. */
export const EXIT = { done: 0, findings: 1, usage: 2, failed: 3 } as const

/** A command line that asks for what does not exist on this machine. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
