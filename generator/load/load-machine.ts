import type { Environment } from '../../schema/interpolation.ts'
import type { Diagnostic, Location } from '../diagnostics/diagnostic.ts'
import { buildDocument, type Treatment } from './build-document.ts'
import { decodeText } from './decode-text.ts'
import { collectFindings } from './findings.ts'
import { type LayerMap, type LayerNode, literalNode, mapNode } from './layer-node.ts'
import { mergeAt, mergeNodes } from './merge-layers.ts'
import { type JsonObject, type JsonValue, type Origin, type Pointer, pointerKeys } from './origin.ts'
import { readNode } from './read-layer.ts'
import { applySetOption } from './set-option.ts'
import { errorAt, type Report, sourceText } from './source-text.ts'

export type { Treatment } from './build-document.ts'

/** One `-f`: a YAML or JSON text under the name that findings show. */
export interface MachineSource {
  readonly file: string
  readonly text: string | Uint8Array
}

/** A value that an environment variable gives instead of the files. It is taken as it is, `${...}` included. */
export interface Override {
  readonly pointer: Pointer
  readonly value: JsonValue
  readonly variable: string
  /** In the text of the variable, whose `file` is `$NAME`. */
  readonly location: Location
  /** Applied only to a machine that has this part: `OLLAMA_PORT` alone starts no Ollama. */
  readonly within?: Pointer
}

export interface LoadInput {
  /** The layers, lowest first. */
  readonly sources: readonly MachineSource[]
  /** What comes after each `--set`. */
  readonly sets?: readonly string[]
  readonly environment: Environment
  /** Applied over the files and under `--set`. */
  readonly overrides?: readonly Override[]
  /** How a string at these keys is treated; list indexes are keys too. */
  readonly treatmentOf: (keys: string[]) => Treatment
}

export interface LoadedMachine {
  /** Merged and interpolated. Where there are errors: what could be read. */
  readonly value: JsonObject
  /** Of every map, list and scalar of `value`. */
  readonly origins: ReadonlyMap<Pointer, Origin>
  /** The decoded texts by the names that findings carry, for excerpts. */
  readonly texts: ReadonlyMap<string, string>
  readonly diagnostics: Diagnostic[]
  /** False where a layer or an option could not be read: what is missing from `value` then proves nothing. */
  readonly isComplete: boolean
  /** Values that have a finding already and stand in `value` as they were written: their type proves nothing. */
  readonly unresolved: ReadonlySet<Pointer>
}

/**
 * Reads a machine description: layers of YAML or JSON, then overrides from the environment, then `--set` options,
 * merged (maps merge, lists replace, `null` removes), with `${...}` resolved in the values that survive. Pure; never
 * throws on any input: what is wrong is a diagnostic.
 */
export function loadMachine(input: LoadInput): LoadedMachine {
  const texts = new Map<string, string>()
  const { report, finish } = collectFindings()
  let tree: LayerNode = emptyTree()
  input.sources.forEach((source, layer) => {
    const read = readLayer(source, layer, texts, report)
    if (read !== undefined) tree = tree.size === 1 ? read : mergeNodes(tree, read)
  })
  for (const override of input.overrides ?? []) tree = applyOverride(tree, override, input, texts, report)
  for (const option of input.sets ?? []) {
    const applied = applySetOption(tree, option, input.treatmentOf, report)
    texts.set(applied.file, applied.text)
    tree = applied.tree
  }
  const origins = new Map<Pointer, Origin>()
  const unresolved = new Set<Pointer>()
  const { environment, treatmentOf } = input
  const value = buildDocument({ environment, treatmentOf, report, origins, unresolved }, tree as LayerMap)
  return { value, origins, texts, unresolved, ...finish() }
}

function emptyTree(): LayerMap {
  return mapNode({ source: sourceText('machine', '', { kind: 'file', layer: 0 }), start: 0, end: 0 }, new Map())
}

function readLayer(
  { file, text }: MachineSource,
  layer: number,
  texts: Map<string, string>,
  report: Report,
): LayerMap | undefined {
  const decoded = decodeText(file, text)
  if ('finding' in decoded) {
    report(decoded.finding)
    return undefined
  }
  texts.set(file, decoded.text)
  const source = sourceText(file, decoded.text, { kind: 'file', layer })
  const { node, isBroken } = readNode(source, report)
  if (isBroken) return undefined
  if (node === undefined) {
    const place = { source, start: 0, end: 0 }
    report(errorAt(place, 'INPUT_EMPTY', `cannot use "${file}": it is empty`, 'a machine file begins with "machine:"'))
    return undefined
  }
  if (node.kind === 'map') return node
  const found = node.kind === 'list' ? 'a list' : 'a single value'
  const message = `cannot use "${file}" as a machine: it holds ${found}, not a map`
  report(errorAt(node.place, 'INPUT_NOT_A_MAP', message, 'a machine file begins with "machine:"'))
  return undefined
}

function applyOverride(
  tree: LayerNode,
  { pointer, value, variable, location, within }: Override,
  { environment, treatmentOf }: LoadInput,
  texts: Map<string, string>,
  report: Report,
): LayerNode {
  if (within !== undefined && !stands(tree, pointerKeys(within))) return tree
  const keys = pointerKeys(pointer)
  const content = Object.hasOwn(environment, variable) ? environment[variable] : undefined
  // The text of a secret is no excerpt.
  if (content !== undefined && treatmentOf(keys) === 'plain') texts.set(location.file, content)
  const source = sourceText(location.file, content ?? '', { kind: 'environment', variable, location })
  const place = { source, start: location.range.start.offset, end: location.range.end.offset }
  const placed = mergeAt(
    tree,
    keys.map((key) => ({ key, place })),
    literalNode(place, value),
  )
  if ('node' in placed) return placed.node
  const message = `cannot apply variable "${variable}" to "${keys.join('.')}": ${placed.problem}`
  report({ code: 'BAD_ENVIRONMENT_VALUE', severity: 'error', message, ...location })
  return tree
}

/** Whether a tree has something at a path; `null` removes what was there. */
function stands(tree: LayerNode, [key, ...rest]: readonly string[]): boolean {
  if (key === undefined) return tree.kind !== 'scalar' || tree.value !== null
  const child = tree.kind === 'map' ? tree.entries.get(key)?.node : undefined
  return child !== undefined && stands(child, rest)
}
