import { readFileSync } from 'node:fs'
import { readCustomNode } from '../../../schema/custom-node.ts'
import type { PlannedCustomNodes, PlannedNode } from '../../../schema/plan.ts'

export interface NodeList {
  readonly nodes: readonly PlannedNode[]
  /** Entries that cannot be used, a line each. */
  readonly problems: readonly string[]
}

/** All nodes of a machine: those of the file on the volume, and those in place, which win. */
export function listNodes({ file, nodes }: Pick<PlannedCustomNodes, 'file' | 'nodes'>): NodeList {
  if (file === null) return { nodes, problems: [] }
  const listed = readNodeFile(file)
  const inPlace = new Set(nodes.map(({ name }) => name))
  return {
    nodes: [...nodes, ...listed.nodes.filter(({ name }) => !inPlace.has(name))],
    problems: listed.problems,
  }
}

function readNodeFile(file: string): NodeList {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'ENOENT' ? 'there is no such file' : message
    return { nodes: [], problems: [`cannot read the list of custom nodes "${file}": ${why}`] }
  }
  return parseNodeList(text, file)
}

/**
 * Reads a list of nodes: `{"custom_nodes": [...]}` as the original machines had it, a list by itself, or a map of nodes by
 * their names.
 */
export function parseNodeList(text: string, file: string): NodeList {
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    return { nodes: [], problems: [`cannot read the list of custom nodes "${file}": ${(error as Error).message}`] }
  }
  const entries = entriesOf(value)
  if (entries === null) {
    return { nodes: [], problems: [`cannot read the list of custom nodes "${file}": it has no list "custom_nodes"`] }
  }
  const nodes = new Map<string, PlannedNode>()
  const problems: string[] = []
  for (const { label, value: entry, name } of entries) {
    const read = readCustomNode(entry, name)
    if ('problem' in read) {
      const field = read.field === null ? '' : `, ${read.field}`
      problems.push(`cannot use ${label} of "${file}"${field}: ${read.problem}`)
      continue
    }
    const { env, customScript, protocol: _, ...node } = read.node
    const owner = nodes.get(node.name)
    if (owner !== undefined)
      problems.push(`cannot use ${label} of "${file}": ${owner.entry} is called "${node.name}" too`)
    else nodes.set(node.name, { ...node, entry: label, environment: env, secretEnvironment: {}, customScript })
  }
  return { nodes: [...nodes.values()], problems }
}

interface ListedEntry {
  readonly label: string
  readonly value: unknown
  readonly name: string | null
}

function entriesOf(value: unknown): ListedEntry[] | null {
  if (typeof value !== 'object' || value === null) return null
  const list = Array.isArray(value) ? value : (value as { readonly custom_nodes?: unknown }).custom_nodes
  if (Array.isArray(list)) {
    return list.map((entry, index) => ({ label: `custom_nodes[${index}]${nameIn(entry)}`, value: entry, name: null }))
  }
  const byName = list === undefined ? value : list
  if (typeof byName !== 'object' || byName === null) return null
  const entries = Object.entries(byName)
  // A map of something else, such as of settings, is no list of nodes.
  if (!entries.every(([, entry]) => typeof entry === 'object' && entry !== null)) return null
  return entries.map(([name, entry]) => ({ label: `node "${name}"`, value: entry, name }))
}

function nameIn(entry: unknown): string {
  const name = (entry as { readonly name?: unknown } | null)?.name
  return typeof name === 'string' ? ` (${JSON.stringify(name)})` : ''
}
