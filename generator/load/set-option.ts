import { parseTemplate, templateErrors } from '../../schema/interpolation.ts'
import type { Treatment } from './build-document.ts'
import { resolveCoreScalar } from './core-scalar.ts'
import { type LayerNode, scalarNode } from './layer-node.ts'
import { mergeAt } from './merge-layers.ts'
import { readNode } from './read-layer.ts'
import { readOptionPath } from './set-option-path.ts'
import { errorAt, type Place, type Report, type SourceText, sourceText } from './source-text.ts'

export interface SetResult {
  readonly tree: LayerNode
  /** The name under which findings and origins show the option. */
  readonly file: string
  /** Its text for excerpts. */
  readonly text: string
}

/**
 * Applies `--set path=value`. The path has dots between its keys; an item of a list is named by its index. The value is
 * YAML where it begins with `[`, `{` or a quote, and otherwise the text up to the end, typed as an unquoted YAML value:
 * `80`, `true`, `null` to remove. A bad option leaves the tree as it was. Where a part of the value is secret, the
 * option is shown without it.
 */
export function applySetOption(
  tree: LayerNode,
  option: string,
  treatmentOf: (keys: string[]) => Treatment,
  report: Report,
): SetResult {
  const text = shownOption(option, treatmentOf)
  const file = `--set ${text}`
  const source = sourceText(file, option, { kind: 'set' })
  const path = readOptionPath(source)
  if ('problem' in path) {
    const message = `cannot read option "${text}": ${path.problem}`
    report(errorAt(path.place, 'BAD_SET_OPTION', message, 'write --set services.comfyui.basePort=9000'))
    return { tree, file, text }
  }
  const value = readOptionValue(source, path.end, report)
  const placed = value === undefined ? { node: tree } : mergeAt(tree, path.steps, value)
  if ('node' in placed) return { tree: placed.node, file, text }
  report(errorAt(placed.step.place, 'BAD_SET_OPTION', `cannot set "${text}": ${placed.problem}`))
  return { tree, file, text }
}

/** The option with asterisks for a secret value: its name goes into findings and into the plan's origins. */
function shownOption(option: string, treatmentOf: (keys: string[]) => Treatment): string {
  const source = sourceText('', option, { kind: 'set' })
  const path = readOptionPath(source)
  if ('problem' in path) return option
  const keys = path.steps.map((step) => step.key)
  const value = readOptionValue(source, path.end, () => undefined)
  const isSecret = value === undefined ? treatmentOf(keys) === 'secret' : holdsSecret(value, keys, treatmentOf)
  return isSecret ? option.slice(0, path.end) + '*'.repeat(option.length - path.end) : option
}

function holdsSecret(node: LayerNode, keys: string[], treatmentOf: (keys: string[]) => Treatment): boolean {
  if (node.kind === 'scalar') return treatmentOf(keys) === 'secret'
  const children =
    node.kind === 'list'
      ? [...node.items.entries()]
      : [...node.entries].map(([key, entry]) => [key, entry.node] as const)
  return children.some(([key, child]) => holdsSecret(child, [...keys, String(key)], treatmentOf))
}

function readOptionValue(source: SourceText, start: number, report: Report): LayerNode | undefined {
  const written = source.text.slice(start)
  const text = written.trim()
  const valueStart = start + written.indexOf(text)
  if (/^[[{"']/.test(text)) return readYamlValue(source, valueStart, report)
  const place = { source, start: valueStart, end: valueStart + text.length }
  if (text.includes('$')) return readReferences(place, text, report)
  const typed = resolveCoreScalar(text)
  if ('value' in typed) return scalarNode(place, typed.value)
  report(errorAt(place, 'BAD_SET_OPTION', `cannot use number ${text}: ${typed.problem}`, 'quote it if it is a text'))
  return undefined
}

function readReferences(place: Place, text: string, report: Report): LayerNode {
  const parts = parseTemplate(text)
  for (const { start, end, code, message, hint } of templateErrors(parts)) {
    const range = { ...place, start: place.start + start, end: place.start + end }
    report(errorAt(range, code, message, hint))
  }
  return scalarNode(place, text, { parts, isPlain: true })
}

/** The value alone as YAML: blanks stand for the path, so that every offset is one of the option. */
function readYamlValue(source: SourceText, start: number, report: Report): LayerNode | undefined {
  const blanked = sourceText(source.file, ' '.repeat(start) + source.text.slice(start), source.role)
  const { node, isBroken } = readNode(blanked, (finding) => {
    const isSyntax = finding.code === 'YAML_SYNTAX' || finding.code === 'YAML_UNSUPPORTED'
    report(isSyntax ? { ...finding, code: 'BAD_SET_OPTION' } : finding)
  })
  return isBroken ? undefined : node
}
