import type { Plan } from '../../schema/plan.ts'
import type { Console } from './console.ts'
import type { Request } from './read-arguments.ts'

/** What a command works with. */
export interface Context {
  readonly request: Request
  readonly plan: Plan
  readonly planFile: string
  readonly console: Console
}

/** Does what a verb says; gives the exit code. */
export type Command = (context: Context) => Promise<number>
