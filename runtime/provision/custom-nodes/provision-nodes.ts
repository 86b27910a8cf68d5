import { setTimeout as delay } from 'node:timers/promises'
import type { PlannedCustomNodes, PlannedGit, PlannedNode } from '../../../schema/plan.ts'
import type { FileOwner } from '../../shared/atomic-file.ts'
import { findUser, isRoot } from '../account.ts'
import { inParallel } from '../framework/in-parallel.ts'
import type { TaskContext } from '../framework/task.ts'
import { stateDirectory } from '../framework/task-state.ts'
import { openGit } from '../git/git.ts'
import { installNode, type NodeRun } from './install-node.ts'
import { type Installer, openInstaller, requirementsOf } from './install-requirements.ts'
import { type NodeRecord, openNodeState } from './node-record.ts'
import { judgeNodes, surveyPython } from './python.ts'

export interface NodeResult {
  readonly node: PlannedNode
  readonly record: NodeRecord
  readonly change: 'cloned' | 'updated' | 'same' | 'kept' | 'failed'
  /** Another try may bring it. */
  readonly isPassing: boolean
}

export interface NodeOutcome {
  readonly results: readonly NodeResult[]
  /** About all of them. */
  readonly problems: readonly string[]
}

/** Between the tries of what failed: a host that is away for a moment. ComfyUI waits meanwhile. */
const PAUSES_MS = [5000, 20_000]

/**
 * Puts all nodes in their places, with all that they need, and makes sure of it. What one lacks stops no other. Those that
 * failed for reasons that may pass are tried again a few times.
 */
export async function provisionNodes(
  nodes: readonly PlannedNode[],
  planned: PlannedCustomNodes,
  gitSettings: PlannedGit,
  context: TaskContext,
  pausesMs: readonly number[] = PAUSES_MS,
): Promise<NodeOutcome> {
  const { plan, report, environment, secret } = context
  const git = openGit({ git: gitSettings, paths: plan.paths, environment, secret })
  const problems = [...git.problems]
  report.expect({ items: nodes.length, bytes: null })
  const installer = await findInstaller(nodes, planned, context, problems)
  const run: NodeRun = {
    context,
    planned,
    git,
    installer,
    state: openNodeState(plan.paths),
    owner: ownerOf(planned.user, problems),
    keepDirectory: `${stateDirectory(plan.paths)}/local-edits`,
    inTurn: queue(),
  }
  const results = await tryNodes(run, nodes, pausesMs)
  report.phase('verifying')
  const judged = await judge(run, results, problems)
  for (const result of judged) settle(run, result)
  forgetOthers(run, nodes)
  return { results: judged, problems }
}

async function tryNodes(
  run: NodeRun,
  nodes: readonly PlannedNode[],
  pausesMs: readonly number[],
): Promise<NodeResult[]> {
  const { planned } = run
  const { report } = run.context
  const results = new Map<string, NodeResult>()
  for (let attempt = 0, pending = nodes; pending.length > 0; attempt += 1) {
    report.phase('fetching')
    const done = await inParallel(planned.parallel, pending, (node) => installNode(run, node))
    for (const result of await Promise.all(done.map(({ finished }) => finished))) results.set(result.node.name, result)
    pending = pending.filter(({ name }) => results.get(name)?.isPassing === true)
    const pauseMs = pausesMs[attempt]
    if (pauseMs === undefined || pending.length === 0) break
    report.problem(`${pending.length} of them failed, tries them again in ${pauseMs / 1000} s`)
    await delay(pauseMs)
    report.problem(null)
  }
  return nodes.flatMap(({ name }) => results.get(name) ?? [])
}

/** `null` where nothing is to be installed, or nothing can be: then that is one of the problems. */
async function findInstaller(
  nodes: readonly PlannedNode[],
  { python }: PlannedCustomNodes,
  { plan, environment }: TaskContext,
  problems: string[],
): Promise<Installer | null> {
  if (python === null || nodes.length === 0) return null
  try {
    return openInstaller(await surveyPython(python), plan.target, plan.paths, environment)
  } catch (error) {
    problems.push((error as Error).message)
    return null
  }
}

function ownerOf(user: string | null, problems: string[]): FileOwner | null {
  if (user === null || !isRoot()) return null
  const owner = findUser(user)
  if (owner === null) problems.push(`cannot give the nodes to "${user}": there is no such user on this system`)
  return owner
}

/** pip and scripts change the same packages: one after the other. */
function queue(): NodeRun['inTurn'] {
  let last: Promise<unknown> = Promise.resolve()
  return (perform) => {
    const next = last.then(perform)
    last = next.catch(() => undefined)
    return next
  }
}

/** What Python says of the nodes that are in place, and whether the packages of the GPU stack are what they were. */
async function judge(run: NodeRun, results: readonly NodeResult[], problems: string[]): Promise<NodeResult[]> {
  const { installer, planned } = run
  if (installer === null || planned.python === null) return [...results]
  const placed = results.filter(({ record }) => record.status === 'ok')
  const asked = placed.map(({ node }) => {
    const path = `${planned.directory}/${node.name}`
    return { path, requirements: node.requirements ? requirementsOf(path) : null }
  })
  try {
    const verdicts = await judgeNodes(planned.python, asked)
    const { frozen } = await surveyPython(planned.python)
    for (const [name, version] of Object.entries(installer.interpreter.frozen)) {
      if (frozen[name] !== version)
        problems.push(`${name} was ${version}, and is ${frozen[name] ?? 'gone'} now: a custom_script changed it`)
    }
    return results.map((result) => {
      const verdict = verdicts[`${planned.directory}/${result.node.name}`]
      if (verdict === undefined || result.record.status !== 'ok') return result
      const { unmet, syntax } = verdict
      if (syntax !== null) return failedBy(result, `ComfyUI cannot load it: its __init__.py: ${syntax}`)
      if (unmet.length === 0) return result
      // The next run installs them again.
      const record = { ...result.record, requirements: null }
      return failedBy({ ...result, record }, `its requirements are not met: ${unmet.slice(0, 5).join(', ')}`)
    })
  } catch (error) {
    problems.push((error as Error).message)
    return [...results]
  }
}

function failedBy(result: NodeResult, problem: string): NodeResult {
  return { ...result, change: 'failed', record: { ...result.record, status: 'failed', problem } }
}

const STATUSES = { cloned: 'ok', updated: 'changed', same: 'skipped', kept: 'skipped', failed: 'failed' } as const

function settle({ context, state }: NodeRun, { node, record, change }: NodeResult): void {
  state.set(node.name, record)
  const message = record.problem ?? (record.notes.length > 0 ? record.notes.join('; ') : undefined)
  const facts = { commit: record.commit, url: record.url, change }
  context.report.settle(node.name, STATUSES[change], message, facts)
}

/** What is no longer in the list stays where it is; only the machine's notes on it go. */
function forgetOthers({ state, context }: NodeRun, nodes: readonly PlannedNode[]): void {
  const wanted = new Set(nodes.map(({ name }) => name))
  for (const [name] of state.entries().filter(([known]) => !wanted.has(known))) {
    state.set(name, null)
    context.report.note(`"${name}" is not in the list any more: it stays where it is`)
  }
}
