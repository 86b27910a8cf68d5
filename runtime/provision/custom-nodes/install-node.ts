import { existsSync } from 'node:fs'
import type { PlannedCustomNodes, PlannedNode } from '../../../schema/plan.ts'
import type { FileOwner } from '../../shared/atomic-file.ts'
import type { TaskContext } from '../framework/task.ts'
import { type Checkout, checkOut } from '../git/check-out.ts'
import type { Git } from '../git/git.ts'
import { GitFailure } from '../git/git-failure.ts'
import { digestOfEdits } from '../git/local-edits.ts'
import { giveTree } from '../git/own-tree.ts'
import { runCustomScript, scriptKey } from './custom-script.ts'
import { type Installer, installRequirements, requirementsKey, requirementsOf } from './install-requirements.ts'
import { nodeEnvironmentFile, resolveNodeEnvironment, writeNodeEnvironment } from './node-environment.ts'
import type { NodeRecord, NodeState } from './node-record.ts'
import type { NodeResult } from './provision-nodes.ts'

/** What all nodes of a run share. */
export interface NodeRun {
  readonly context: TaskContext
  readonly planned: PlannedCustomNodes
  readonly git: Git
  /** `null`: nothing is installed. */
  readonly installer: Installer | null
  readonly state: NodeState
  readonly owner: FileOwner | null
  readonly keepDirectory: string
  /** Does it when all that was asked for before is done. */
  readonly inTurn: <Result>(perform: () => Promise<Result>) => Promise<Result>
}

/** What of a node is done, as it goes on. */
type Progress = Pick<NodeRecord, 'requirements' | 'script' | 'env' | 'edits'>

const NOTHING: Progress = { requirements: null, script: null, env: null, edits: null }

/**
 * Fetches a node, and has the rest of it done in its turn: the next one need not wait for that to be fetched.
 */
export async function installNode(
  run: NodeRun,
  node: PlannedNode,
): Promise<{ readonly finished: Promise<NodeResult> }> {
  const before = run.state.get(node.name)
  const known = before?.url === node.url ? progressOf(before) : NOTHING
  try {
    const checkout = await fetchNode(run, node, known)
    if (checkout.status === 'kept') return done(conclude(run, node, checkout, known, null, checkout.notes))
    return { finished: run.inTurn(() => finishNode(run, node, checkout, known)) }
  } catch (error) {
    const isPassing = error instanceof GitFailure && !error.isLasting
    return done(failed(run, node, before, known, (error as Error).message, isPassing))
  }
}

const progressOf = ({ requirements, script, env, edits }: NodeRecord): Progress => ({
  requirements,
  script,
  env,
  edits,
})

const done = (result: NodeResult) => ({ finished: Promise.resolve(result) })

function fetchNode(run: NodeRun, node: PlannedNode, known: Progress): Promise<Checkout> {
  const { url, branch, commit, recursive, name } = node
  return checkOut(run.git, {
    url,
    branch,
    commit,
    recursive,
    directory: `${run.planned.directory}/${name}`,
    ownEdits: known.edits,
    keepDirectory: run.keepDirectory,
    now: new Date(),
    onBytes: (bytes) => run.context.report.update(name, bytes, null),
  })
}

async function finishNode(run: NodeRun, node: PlannedNode, checkout: Checkout, known: Progress): Promise<NodeResult> {
  const { installer, context, owner } = run
  const directory = `${run.planned.directory}/${node.name}`
  const notes = [...checkout.notes]
  let progress = known
  let problem: string | null = null
  const hear = (line: string) => context.report.note(`${node.name}: ${line}`)
  try {
    const { values, env } = writeVariables(run, node, known, notes)
    progress = { ...progress, env }
    const file = node.requirements ? requirementsOf(directory) : null
    if (installer !== null && file !== null) {
      const key = requirementsKey(file, installer)
      if (key !== known.requirements) {
        context.report.phase(`installing the requirements of ${node.name}`)
        problem = await installRequirements(file, installer, hear)
        progress = { ...progress, requirements: problem === null ? key : null }
      }
    }
    const script = installer === null ? null : node.customScript
    if (problem === null && installer !== null && script !== null) {
      const key = scriptKey(script, checkout.commit ?? '', installer)
      if (key !== known.script) {
        context.report.phase(`running the script of ${node.name}`)
        problem = await runCustomScript(script, directory, values, installer, hear)
        const edits = await digestOfEdits(run.git, directory)
        progress = { ...progress, edits, script: problem === null ? key : null }
      }
    }
    if (problem === null && !existsSync(`${directory}/__init__.py`))
      problem = 'ComfyUI cannot load it: it has no __init__.py'
    if (owner !== null && (checkout.status !== 'same' || progress.script !== known.script)) giveTree(directory, owner)
  } catch (error) {
    problem = (error as Error).message
  }
  return conclude(run, node, checkout, progress, problem, notes)
}

function writeVariables(
  { context, planned, owner }: NodeRun,
  node: PlannedNode,
  known: Progress,
  notes: string[],
): { readonly values: Readonly<Record<string, string>>; readonly env: string | null } {
  const { values, missing } = resolveNodeEnvironment(node, context.environment, context.secret)
  if (Object.keys(values).length === 0) return { values, env: known.env }
  if (missing.length > 0)
    notes.push(`${missing.join(', ')} of its env ${missing.length === 1 ? 'is' : 'are'} not set: empty`)
  const file = nodeEnvironmentFile(values)
  if ('refusals' in file) throw new Error(`cannot write its ".env": ${file.refusals.join('; ')}`)
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')
  const directory = `${planned.directory}/${node.name}`
  const written = writeNodeEnvironment(directory, file.text, known.env, stamp, owner ?? undefined)
  if (written.note !== null) notes.push(written.note)
  return { values, env: written.digest }
}

function conclude(
  { installer, planned }: NodeRun,
  node: PlannedNode,
  checkout: Checkout,
  progress: Progress,
  problem: string | null,
  notes: readonly string[],
): NodeResult {
  const { url, branch } = node
  const isIncomplete =
    installer === null && planned.python !== null && (node.requirements || node.customScript !== null)
  const why = problem ?? (isIncomplete && checkout.status !== 'kept' ? 'nothing can be installed for it' : null)
  const status = checkout.status === 'kept' ? 'kept' : why === null ? 'ok' : 'failed'
  const at = new Date().toISOString()
  const record = { url, branch, commit: checkout.commit, status, problem: why, notes, at, ...progress } as const
  // pip fails for reasons that pass as often as for others, and does not say which.
  return {
    node,
    record,
    change: why === null ? checkout.status : 'failed',
    isPassing: problem?.includes('requirements') ?? false,
  }
}

function failed(
  run: NodeRun,
  node: PlannedNode,
  before: NodeRecord | undefined,
  progress: Progress,
  problem: string,
  isPassing: boolean,
): NodeResult {
  const { url, branch } = node
  const commit = existsSync(`${run.planned.directory}/${node.name}/.git`) ? (before?.commit ?? null) : null
  const at = new Date().toISOString()
  const record = { url, branch, commit, status: 'failed', problem, notes: [], at, ...progress } as const
  return { node, record, change: 'failed', isPassing }
}
