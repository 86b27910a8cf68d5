import type { Environment } from '../../../schema/interpolation.ts'
import type { Plan } from '../../../schema/plan.ts'
import type { Reporter } from './reporter.ts'

/** What a provisioner may use. Everything that it waits for ends with the process: SIGTERM needs no care of its own. */
export interface TaskContext {
  readonly plan: Plan
  /** Name of the task, which is the name of its service too. */
  readonly task: string
  readonly environment: Environment
  readonly report: Reporter
  /** The value of a planned secret, `null` for one that is empty or not planned. Throws where it cannot be resolved. */
  readonly secret: (name: string) => string | null
}

/** What a finished run says. Warnings are about optional things: they are shown, and the task has succeeded. */
export interface TaskOutcome {
  /** One line each; any makes the task fail, and its supervisor starts it again. */
  readonly failures: readonly string[]
  readonly warnings: readonly string[]
  /** Flat facts for the event of the end: counts, bytes. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>
}

/**
 * A provisioner. It can be killed at any moment and run again: what it has done counts, what was half done is continued or
 * done anew, and nobody ever sees it half done.
 */
export interface ProvisionTask {
  /** What a run would do, a line each, without doing it. */
  readonly preview: (context: TaskContext) => Promise<readonly string[]>
  /** Does it, and succeeds only when the result was verified. */
  readonly run: (context: TaskContext) => Promise<TaskOutcome>
}
