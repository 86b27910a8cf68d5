import { existsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { PlannedGit, PlannedWorkflows } from '../../../schema/plan.ts'
import { findUser, isRoot } from '../account.ts'
import type { ProvisionTask, TaskContext, TaskOutcome } from '../framework/task.ts'
import { lockTask } from '../framework/task-lock.ts'
import { openTaskState, stateDirectory } from '../framework/task-state.ts'
import { openGit } from '../git/git.ts'
import { giveTree } from '../git/own-tree.ts'
import { NOTHING_DONE, type SyncResult, syncWorkflows } from './sync-workflows.ts'
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
    settle(context.report, workflows, result, warnings)
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
    let lastProblem: string | null = null
    context.report.phase('following')
    for (;;) {
      await delay(workflows.intervalMs)
      const { result, warnings } = await synchroniseAlone(workflows, git, context)
      if (hasNews(result) || (result.problem !== null && result.problem !== lastProblem))
        settle(context.report, workflows, result, warnings)
      lastProblem = result.problem
      context.report.problem(result.problem)
    }
  },
}

/** The task of the start may be at it still, or a person. */
async function synchroniseAlone(
  planned: PlannedWorkflows,
  git: PlannedGit,
  context: TaskContext,
): Promise<{ readonly result: SyncResult; readonly warnings: readonly string[] }> {
  const lock = await lockTask(context.plan.paths, 'workflows', (pid) => context.report.note(`waits for process ${pid}`))
  try {
    return await synchronise(planned, git, context)
  } catch (error) {
    return { result: { ...NOTHING_DONE, problem: (error as Error).message }, warnings: [] }
  } finally {
    lock.release()
  }
}

function hasNews({ saved, hasReceived, hasPushed, conflicts, notes }: SyncResult): boolean {
  return saved > 0 || hasReceived || hasPushed || conflicts.length > 0 || notes.length > 0
}

async function synchronise(
  planned: PlannedWorkflows,
  gitSettings: PlannedGit,
  context: TaskContext,
): Promise<{ readonly result: SyncResult; readonly warnings: readonly string[] }> {
  const { plan, environment, secret } = context
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
