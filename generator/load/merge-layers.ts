import { type LayerEntry, type LayerNode, listNode, mapNode } from './layer-node.ts'
import type { Place } from './source-text.ts'

/**
 * A layer over another: maps merge key by key, anything else replaces what was there. `null` replaces too, and a key
 * that is left with it is removed at the end. A map that both give keeps the place of the first.
 */
export function mergeNodes(base: LayerNode, over: LayerNode): LayerNode {
  if (base.kind !== 'map' || over.kind !== 'map') return over
  if (over.entries.size === 0) return base
  const entries = new Map(base.entries)
  for (const [key, entry] of over.entries) {
    const below = entries.get(key)
    entries.set(key, below === undefined ? entry : mergeEntries(below, entry))
  }
  return mapNode(base.place, entries)
}

function mergeEntries(below: LayerEntry, above: LayerEntry): LayerEntry {
  const node = mergeNodes(below.node, above.node)
  return node === above.node ? above : { ...below, node }
}

/** One step of a path into the document, with the text that names it. */
export interface PathStep {
  readonly key: string
  readonly place: Place
}

/** The tree with `value` merged in at `path`, or why the path leads nowhere. */
export type Placed = { readonly node: LayerNode } | { readonly problem: string; readonly step: PathStep }

/**
 * Merges a value in at a path. Maps that are missing on the way are made; a list takes an index, its length appends,
 * and `null` takes the item out.
 */
export function mergeAt(tree: LayerNode, path: readonly PathStep[], value: LayerNode, depth = 0): Placed {
  const step = path[depth]
  if (step === undefined) return { node: mergeNodes(tree, value) }
  if (tree.kind === 'list') return mergeIntoList(tree.items, tree.place, path, value, depth)
  if (tree.kind === 'scalar' && tree.value !== null) {
    return { step, problem: `"${pathText(path.slice(0, depth))}" is not a map` }
  }
  const entries = new Map(tree.kind === 'map' ? tree.entries : [])
  const below = entries.get(step.key)
  const placed = mergeBelow(below?.node, path, value, depth)
  if ('problem' in placed) return placed
  const entry = { keyPlace: step.place, node: placed.node }
  entries.set(step.key, below === undefined || placed.node === value ? entry : { ...below, node: placed.node })
  return { node: mapNode(tree.place, entries) }
}

function mergeBelow(child: LayerNode | undefined, path: readonly PathStep[], value: LayerNode, depth: number): Placed {
  if (child !== undefined) return mergeAt(child, path, value, depth + 1)
  const next = path[depth + 1]
  return next === undefined ? { node: value } : mergeAt(mapNode(next.place, new Map()), path, value, depth + 1)
}

function mergeIntoList(
  items: readonly LayerNode[],
  place: Place,
  path: readonly PathStep[],
  value: LayerNode,
  depth: number,
): Placed {
  const step = path[depth] as PathStep
  const index = /^(?:0|[1-9][0-9]{0,5})$/.test(step.key) ? Number(step.key) : -1
  if (index < 0 || index > items.length) {
    const list = pathText(path.slice(0, depth))
    const count = items.length === 1 ? '1 item' : `${items.length} items`
    return { step, problem: `"${list}" is a list of ${count}, and "${step.key}" is no index into it` }
  }
  const placed = mergeBelow(items[index], path, value, depth)
  if ('problem' in placed) return placed
  const isRemoved = depth === path.length - 1 && placed.node.kind === 'scalar' && placed.node.value === null
  return { node: listNode(place, items.toSpliced(index, 1, ...(isRemoved ? [] : [placed.node]))) }
}

export function pathText(path: readonly PathStep[]): string {
  return path.map((step) => step.key).join('.')
}
