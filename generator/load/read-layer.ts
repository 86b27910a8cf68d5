import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Pair,
  type ParsedNode,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import { parseTemplate, type TemplatePart, templateErrors } from '../../schema/interpolation.ts'
import { nearest } from '../../schema/nearest.ts'
import { numberProblem } from './core-scalar.ts'
import {
  type LayerEntry,
  type LayerMap,
  type LayerNode,
  listNode,
  mapNode,
  scalarNode,
  type Template,
} from './layer-node.ts'
import { MAX_DEPTH, type ParsedText, parseYaml } from './parse-yaml.ts'
import { errorAt, locationOf, type Place, type Report, type SourceText } from './source-text.ts'
import { templatePlace } from './template-place.ts'

/** Ten times the values of the largest machine anybody has. Text alone cannot hold as many; aliases can. */
const MAX_VALUES = 50_000

interface Reading {
  readonly source: SourceText
  readonly report: Report
  readonly isBroken: boolean
  readonly anchors: Map<string, LayerNode>
  /** Anchors whose own value is being read. */
  readonly open: Set<string>
  /** Values that aliases and merge keys have added so far. */
  expanded: number
}

/**
 * A text as a layer node; `undefined` where it has no content or could not be read. What stands behind a syntax
 * error is not reported on.
 */
export function readNode(source: SourceText, report: Report): { node: LayerNode | undefined; isBroken: boolean } {
  let hasFailed = false
  const parsed: ParsedText = parseYaml(source, (finding) => {
    hasFailed = true
    report(finding)
  })
  if (parsed.contents === undefined || isBlank(parsed.contents)) return { node: undefined, isBroken: hasFailed }
  const isBroken = parsed.brokenFrom !== Number.POSITIVE_INFINITY
  const reading: Reading = {
    source,
    report: (finding) => {
      if (finding.range.start.offset < parsed.brokenFrom) report(finding)
    },
    isBroken,
    anchors: new Map(),
    open: new Set(),
    expanded: 0,
  }
  return { node: readValue(reading, parsed.contents, 0), isBroken }
}

function readValue(reading: Reading, node: ParsedNode, depth: number): LayerNode {
  if (isAlias(node)) return readAlias(reading, node.source, placeOf(reading, node), depth)
  const { anchor } = node
  if (anchor !== undefined) reading.open.add(anchor)
  const value = readUnaliased(reading, node, depth)
  if (anchor !== undefined) {
    reading.open.delete(anchor)
    reading.anchors.set(anchor, value)
  }
  return value
}

function readUnaliased(reading: Reading, node: ParsedNode, depth: number): LayerNode {
  if (isMap(node)) return readMap(reading, node as YAMLMap.Parsed, depth)
  if (isSeq(node)) return readList(reading, node as YAMLSeq.Parsed, depth)
  return readScalar(reading, node as Scalar.Parsed)
}

function placeOf({ source }: Reading, node: ParsedNode): Place {
  return { source, start: node.range[0], end: node.range[1] }
}

/** A block collection ends, for the parser, behind the comments that follow it; here it ends with its last value. */
function collectionPlace(reading: Reading, node: YAMLMap.Parsed | YAMLSeq.Parsed, last: Place | undefined): Place {
  const place = placeOf(reading, node)
  return node.flow || last === undefined ? place : { ...place, end: last.end }
}

function readList(reading: Reading, list: YAMLSeq.Parsed, depth: number): LayerNode {
  const items = list.items.map((item) => readValue(reading, item, depth + 1))
  return listNode(collectionPlace(reading, list, items.at(-1)?.place), items)
}

function readMap(reading: Reading, map: YAMLMap.Parsed, depth: number): LayerMap {
  const entries = new Map<string, LayerEntry>()
  const merges: LayerNode[] = []
  let last: Place | undefined
  for (const pair of map.items as Pair<ParsedNode, ParsedNode | null>[]) {
    const key = readKey(reading, pair.key)
    const keyPlace = placeOf(reading, pair.key)
    const node = pair.value === null ? scalarNode(keyPlace, null) : readValue(reading, pair.value, depth + 1)
    last = node.place
    if (key === undefined) continue
    if (key === '<<' && isScalar(pair.key) && pair.key.type === 'PLAIN') merges.push(node)
    else if (entries.has(key)) reportDuplicate(reading, key, keyPlace, entries.get(key)?.keyPlace)
    else entries.set(key, { keyPlace, node })
    if (isBlank(pair.value) && !reading.isBroken) warnOfNothing(reading, key, keyPlace)
  }
  for (const merge of merges) mergeInto(reading, entries, merge)
  return mapNode(collectionPlace(reading, map, last), entries)
}

/** The text of a key; `8080:` and `true:` are strings too. The parser has already reported what is no scalar. */
function readKey(reading: Reading, key: ParsedNode): string | undefined {
  if (!isScalar(key)) return undefined
  if (typeof key.value === 'string' && (key.value !== '' || key.type !== 'PLAIN')) return key.value
  const message = 'cannot read a key: it is empty'
  reading.report(errorAt(placeOf(reading, key), 'YAML_UNSUPPORTED', message, 'write a name before the ":"'))
  return undefined
}

function reportDuplicate(reading: Reading, key: string, place: Place, first: Place | undefined): void {
  const message = `cannot use key "${key}" twice in one map`
  const related = first === undefined ? [] : [{ ...locationOf(first), message: `"${key}" is first given here` }]
  reading.report({ ...errorAt(place, 'DUPLICATE_KEY', message, 'remove one of the two'), related })
}

function isBlank(value: ParsedNode | null): boolean {
  return value === null || (isScalar(value) && value.value === null && value.source === '')
}

/** `nginx:` alone reads like "nginx, please", but in YAML it is `null`, which removes the key. */
function warnOfNothing(reading: Reading, key: string, place: Place): void {
  const finding = errorAt(
    place,
    'INVALID_VALUE',
    `cannot use key "${key}" without a value: it counts as null, which removes the key`,
    `write "${key}: {}" for the defaults, or "${key}: null" to remove it`,
  )
  reading.report({ ...finding, severity: 'warning' })
}

function readAlias(reading: Reading, name: string, place: Place, depth: number): LayerNode {
  const target = reading.anchors.get(name)
  if (reading.open.has(name)) {
    const message = `cannot use alias "*${name}": it stands inside the value that "&${name}" names`
    reading.report(errorAt(place, 'YAML_UNSUPPORTED', message))
  } else if (target === undefined) {
    const guess = nearest(name, reading.anchors.keys())
    const hint = guess === undefined ? 'an anchor stands before its aliases' : `did you mean "*${guess}"?`
    reading.report(
      errorAt(place, 'YAML_SYNTAX', `cannot use alias "*${name}": nothing before it is named "&${name}"`, hint),
    )
  } else if (depth + target.height > MAX_DEPTH) {
    const message = `cannot use alias "*${name}": more than ${MAX_DEPTH} levels would be nested`
    reading.report(errorAt(place, 'YAML_UNSUPPORTED', message))
  } else if (grows(reading, target.size, place)) {
    return { ...target, place }
  }
  return { ...scalarNode(place, null), isRefused: true }
}

/** Counts what an alias or a merge key adds; the first that is too much is reported, the others stay silent. */
function grows(reading: Reading, values: number, place: Place): boolean {
  const wasWithin = reading.expanded <= MAX_VALUES
  reading.expanded += values
  if (reading.expanded <= MAX_VALUES) return true
  if (wasWithin) {
    const message = `cannot expand the aliases: they add more than ${MAX_VALUES} values`
    reading.report(errorAt(place, 'YAML_ALIAS_BOMB', message, 'aliases of aliases multiply; write less of them'))
  }
  return false
}

/** `<<: *base` and `<<: [*a, *b]`: their keys, where the map itself and the earlier ones do not have them. */
function mergeInto(reading: Reading, entries: Map<string, LayerEntry>, merge: LayerNode): void {
  for (const node of merge.kind === 'list' ? merge.items : [merge]) {
    if (node.kind === 'scalar' && node.isRefused) continue
    if (node.kind !== 'map') {
      const message = 'cannot merge by "<<": its value is not a map, an alias of one, or a list of these'
      reading.report(errorAt(node.place, 'YAML_UNSUPPORTED', message))
    } else if (grows(reading, node.size, node.place)) {
      for (const [key, entry] of node.entries) if (!entries.has(key)) entries.set(key, entry)
    }
  }
}

function readScalar(reading: Reading, node: Scalar.Parsed): LayerNode {
  const place = placeOf(reading, node)
  const { value } = node
  if (typeof value === 'number') return readNumber(reading, place, value, node.source)
  if (typeof value !== 'string') return scalarNode(place, typeof value === 'boolean' ? value : null)
  if (!value.isWellFormed()) {
    reading.report(errorAt(place, 'INVALID_VALUE', 'cannot use the string: it contains half of a surrogate pair'))
    return { ...scalarNode(place, value), isRefused: true }
  }
  const isPlain = node.type === 'PLAIN' && node.tag === undefined
  const template = value.includes('$') ? readTemplate(reading, place, value, isPlain) : undefined
  return scalarNode(place, value, template)
}

function readNumber(reading: Reading, place: Place, value: number, source: string): LayerNode {
  const problem = numberProblem(value, source)
  if (problem !== undefined) {
    reading.report(
      errorAt(place, 'INVALID_VALUE', `cannot use number ${source}: ${problem}`, 'quote it if it is a text'),
    )
  }
  // JSON writes a negative zero as 0.
  return scalarNode(place, value + 0)
}

function readTemplate(reading: Reading, place: Place, value: string, isPlain: boolean): Template | undefined {
  const parts: TemplatePart[] = parseTemplate(value)
  const [only] = parts
  if (parts.length === 1 && only?.kind === 'text' && only.text === value) return undefined
  for (const { start, end, code, message, hint } of templateErrors(parts)) {
    reading.report(errorAt(templatePlace(place, value, start, end), code, message, hint))
  }
  return { parts, isPlain }
}
