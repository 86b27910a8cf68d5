import { existsSync } from 'node:fs'
import type { PlannedNode } from '../../../schema/plan.ts'
import type { ProvisionTask, TaskContext, TaskOutcome } from '../framework/task.ts'
import { listNodes } from './node-list.ts'
import { type NodeOutcome, type NodeResult, provisionNodes } from './provision-nodes.ts'

/**
 * The custom nodes of ComfyUI. Nodes that cannot be had are warnings, since ComfyUI works without them; only those that
 * are `required` make the task fail, and ComfyUI wait.
 */
export function customNodesTask(pausesMs?: readonly number[]): ProvisionTask {
  return {
    preview: async ({ plan }) => {
      const { customNodes } = plan.provisioning
      if (customNodes === null) return ['nothing: the machine has no custom nodes']
      const { nodes, problems } = listNodes(customNodes)
      return [...problems, ...nodes.map((node) => previewOf(node, customNodes.directory))]
    },
    run: (context) => run(context, pausesMs),
  }
}

function previewOf({ name, url, branch, commit, requirements }: PlannedNode, directory: string): string {
  const path = `${directory}/${name}`
  const at = commit === null ? (branch === null ? '' : `, branch ${branch}`) : `, commit ${commit}`
  const what = existsSync(path) ? `update "${path}" from` : `clone "${path}" from`
  return `${what} ${url}${at}${requirements ? ', with its requirements' : ''}`
}

async function run(context: TaskContext, pausesMs?: readonly number[]): Promise<TaskOutcome> {
  const { customNodes, git } = context.plan.provisioning
  if (customNodes === null || git === null) return { failures: [], warnings: [] }
  const { nodes, problems } = listNodes(customNodes)
  const outcome = await provisionNodes(nodes, customNodes, git, context, pausesMs)
  return conclude(nodes, problems, outcome)
}

function conclude(
  nodes: readonly PlannedNode[],
  problems: readonly string[],
  { results, problems: general }: NodeOutcome,
): TaskOutcome {
  // Somebody's own directory in its place is what that somebody wants: it fails nothing.
  const isFailure = ({ node, record }: NodeResult) => node.required && record.status === 'failed'
  const warnings = results.filter((result) => !isFailure(result)).flatMap(linesOf)
  const count = (change: string) => results.filter((result) => result.change === change).length
  return {
    failures: results.filter(isFailure).flatMap(linesOf),
    warnings: [...problems, ...general, ...warnings],
    facts: {
      nodes: nodes.length,
      cloned: count('cloned'),
      updated: count('updated'),
      failed: count('failed'),
      kept: count('kept'),
    },
  }
}

function linesOf({ node, record }: NodeResult): string[] {
  const said = record.problem === null ? record.notes : [record.problem, ...record.notes]
  return said.map((line) => `custom node "${node.name}": ${line}`)
}
