import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { PlannedGit, PlannedWorkflows } from '../../../schema/plan.ts'
import { findUser, isRoot } from '../account.ts'
import type { ProvisionTask, TaskContext, TaskOutcome } from '../framework/task.ts'
import { lockTask } from '../framework/task-lock.ts'
import { openTaskState, stateDirectory } from '../framework/task-state.ts'
import { openGit } from '../git/git.ts'
import { giveTree } from '../git/own-tree.ts'
import { type SyncResult, syncWorkflows } from './sync-workflows.ts'
import { openWorkflowRepository } from './workflow-repository.ts'

/** What `<state>/provision/workflows.json` says of the last time. */
export interface WorkflowRecord extends SyncResult {
  readonly repository: string
  readonly branch: string
  readonly at: string
}

/** One synchronisation, when the machine starts. */
export const workflowsTask: ProvisionTask = {
  preview: async ({ plan }) => {
    const { workflows } = plan.provisioning
    if (workflows === null) return ['nothing: the machine has no workflows']
    const { repository, branch, push } = workflows
    return [
      `bring "${directoryOf(workflows)}" and ${repository}, branch ${branch}, together${push ? ', both ways' : ''}`,
    ]
  },
  run: async (context) => {
    const { workflows, git } = context.plan.provisioning
    if (workflows === null || git === null) return { failures: [], warnings: [] }
    context.report.expect({ items: 1, bytes: null })
    context.report.phase('synchronising')
    const { result, warnings } = await synchronise(workflows, git, context)
    return outcomeOf(result, warnings)
  },
}

/**
 * The same again and again, while the machine runs. It ends with its process. A host that is away is said once, and asked
 * again the next time.
 */
export const workflowsSyncTask: ProvisionTask = {
  preview: workflowsTask.preview,
  run: async (context) => {
    const { workflows, git } = context.plan.provisioning
    if (workflows === null || git === null || workflows.intervalMs === null) return { failures: [], warnings: [] }
    for (;;) {
      context.report.phase('waiting')
      await delay(workflows.intervalMs)
      // The task of the start may be at it still, or a person.
      const lock = await lockTask(context.plan.paths, 'workflows', (pid) =>
        context.report.phase(`waiting for process ${pid}`),
      )
      try {
        context.report.phase('synchronising')
        const { result } = await synchronise(workflows, git, context)
        context.report.problem(result.problem)
      } catch (error) {
        context.report.problem((error as Error).message)
      } finally {
        lock.release()
      }
    }
  },
}

async function synchronise(
  planned: PlannedWorkflows,
  gitSettings: PlannedGit,
  context: TaskContext,
): Promise<{ readonly result: SyncResult; readonly warnings: readonly string[] }> {
  const { plan, environment, secret, report } = context
  const { id } = plan.machine
  const git = openGit({ git: gitSettings, paths: plan.paths, environment, secret })
  const gitDirectory = `${stateDirectory(plan.paths)}/workflows.git`
  const author = { name: `machine ${id}`, email: `${id}@machine.invalid` }
  const repo = await openWorkflowRepository(git, planned, gitDirectory, author)
  const result = await syncWorkflows(repo, { machine: id, now: () => new Date() })
  giveToUser(planned, result)
  const record = { ...result, repository: planned.repository, branch: planned.branch, at: new Date().toISOString() }
  openTaskState(plan.paths, 'workflows', isRecord).set('workflows', record)
  const conflicts = result.conflicts.map(
    ({ path, keptAs }) => `"${path}" was changed here and elsewhere: what was here is now "${keptAs}"`,
  )
  const warnings = [...git.problems, ...conflicts, ...result.notes]
  const hasChanged = result.saved > 0 || result.hasReceived || result.hasPushed || warnings.length > 0
  if (hasChanged || result.problem !== null || context.task === 'workflows') settle(report, planned, result, warnings)
  return { result, warnings }
}

function settle(
  report: TaskContext['report'],
  { repository, branch }: PlannedWorkflows,
  result: SyncResult,
  warnings: readonly string[],
): void {
  const { problem, hasReceived, hasPushed, saved, commit, conflicts } = result
  const status = problem !== null ? 'failed' : hasReceived || hasPushed || saved > 0 ? 'changed' : 'skipped'
  const message = problem ?? (warnings.length > 0 ? warnings.join('; ') : undefined)
  const facts = { commit, branch, saved, received: hasReceived, pushed: hasPushed, conflicts: conflicts.length }
  report.settle(repository, status, message, facts)
}

function outcomeOf(
  { problem, saved, hasReceived, hasPushed, conflicts }: SyncResult,
  warnings: readonly string[],
): TaskOutcome {
  return {
    failures: problem === null ? [] : [problem],
    warnings,
    facts: { saved, received: hasReceived, pushed: hasPushed, conflicts: conflicts.length },
  }
}

const directoryOf = ({ workTree, part }: PlannedWorkflows): string => (part === null ? workTree : `${workTree}/${part}`)

function giveToUser(planned: PlannedWorkflows, { hasReceived }: SyncResult): void {
  const owner = planned.user !== null && hasReceived && isRoot() ? findUser(planned.user) : null
  const directory = directoryOf(planned)
  if (owner !== null && existsSync(directory)) giveTree(directory, owner)
}

const isRecord = (value: unknown): value is WorkflowRecord => typeof value === 'object' && value !== null
