import { reportFailure } from './failure.ts'
import type { Host } from './host.ts'
import type { VerbName } from './verbs.ts'

/** Runs a verb to its exit code; what it throws is told in words. */
export async function carryOut(verb: VerbName, host: Host, run: () => number | Promise<number>): Promise<number> {
  try {
    return await run()
  } catch (error) {
    return reportFailure(host, verb, error)
  }
}
