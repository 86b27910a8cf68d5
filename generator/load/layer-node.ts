import type { TemplatePart } from '../../schema/interpolation.ts'
import type { Scalar } from './core-scalar.ts'
import type { JsonValue } from './origin.ts'
import type { Place } from './source-text.ts'

/**
 * One value of one layer, before merging: data with the place it was written at. Immutable, so that aliases and merged
 * layers share what they have in common and a thousandfold alias costs nothing until it is refused.
 */
export type LayerNode = LayerMap | LayerList | LayerScalar

interface Measured {
  readonly place: Place
  /** Values in it, itself included, with every alias expanded. */
  readonly size: number
  /** Levels below it, with every alias expanded. */
  readonly height: number
}

export interface LayerMap extends Measured {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, LayerEntry>
}

export interface LayerEntry {
  readonly keyPlace?: Place
  readonly node: LayerNode
}

export interface LayerList extends Measured {
  readonly kind: 'list'
  readonly items: readonly LayerNode[]
}

export interface LayerScalar extends Measured {
  readonly kind: 'scalar'
  readonly value: Scalar
  readonly template?: Template
  /** The value has a finding already and only fills the place. */
  readonly isRefused?: true
}

/** What a string with `${...}` or `$$` says. */
export interface Template {
  readonly parts: readonly TemplatePart[]
  /** An unquoted scalar gets its type after substitution. */
  readonly isPlain: boolean
}

export function mapNode(place: Place, entries: ReadonlyMap<string, LayerEntry>): LayerMap {
  let size = 1
  let height = 0
  for (const { node } of entries.values()) {
    size += node.size
    height = Math.max(height, node.height + 1)
  }
  return { kind: 'map', place, entries, size, height }
}

export function listNode(place: Place, items: readonly LayerNode[]): LayerList {
  let size = 1
  let height = 0
  for (const node of items) {
    size += node.size
    height = Math.max(height, node.height + 1)
  }
  return { kind: 'list', place, items, size, height }
}

export function scalarNode(place: Place, value: Scalar, template?: Template): LayerScalar {
  const node = { kind: 'scalar' as const, place, value, size: 1, height: 0 }
  return template === undefined ? node : { ...node, template }
}

/** A finished value, taken as it is: every part of it has the same place. */
export function literalNode(place: Place, value: JsonValue): LayerNode {
  if (Array.isArray(value)) {
    return listNode(
      place,
      value.map((item) => literalNode(place, item)),
    )
  }
  if (value === null || typeof value !== 'object') return scalarNode(place, value)
  const entries = Object.entries(value).map(([key, item]): [string, LayerEntry] => [
    key,
    { node: literalNode(place, item) },
  ])
  return mapNode(place, new Map(entries))
}
