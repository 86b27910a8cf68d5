import type { Environment } from '../../../schema/interpolation.ts'
import type { Plan } from '../../../schema/plan.ts'
import { chooseOutput, type Sink } from './report-output.ts'
import { createReporter, type TaskReporter } from './reporter.ts'
import { endWithChildren } from './run-command.ts'
import { secretReader } from './secret-value.ts'
import type { ProvisionTask, TaskContext, TaskOutcome } from './task.ts'
import { lockTask } from './task-lock.ts'

export interface TaskRequest {
  readonly task: string
  readonly plan: Plan
  readonly environment: Environment
  readonly dryRun: boolean
  readonly json: boolean
  readonly stdout: Sink
}

/** Runs a task: alone, visibly, and again by whoever called it when it fails. Gives the exit code: 0 or 1. */
export async function runTask(request: TaskRequest, provisioner: ProvisionTask): Promise<0 | 1> {
  const { task, plan, environment } = request
  const output = chooseOutput(task, request.stdout, request.json)
  const report = createReporter({ paths: plan.paths, task, output, nowMs: Date.now })
  const context: TaskContext = { plan, task, environment, report, secret: secretReader(plan, environment) }
  if (request.dryRun) return preview(request, provisioner, context)
  endWithChildren()
  try {
    return await runLocked(provisioner, context, report)
  } catch (error) {
    report.failed([(error as Error).message])
    return 1
  }
}

async function preview(request: TaskRequest, provisioner: ProvisionTask, context: TaskContext): Promise<0 | 1> {
  const lines = await provisioner.preview(context)
  const text = request.json
    ? `${JSON.stringify({ task: request.task, would: lines })}\n`
    : lines.join('\n').concat('\n')
  request.stdout.write(text)
  return 0
}

async function runLocked(provisioner: ProvisionTask, context: TaskContext, report: TaskReporter): Promise<0 | 1> {
  const lock = await lockTask(context.plan.paths, context.task, (pid) => report.phase(`waiting for process ${pid}`))
  try {
    report.started()
    const outcome = await provisioner.run(context)
    return conclude(outcome, report)
  } finally {
    lock.release()
  }
}

function conclude({ failures, warnings, facts = {} }: TaskOutcome, report: TaskReporter): 0 | 1 {
  if (failures.length > 0) {
    report.failed([...failures, ...warnings])
    return 1
  }
  report.done(warnings, facts)
  return 0
}
