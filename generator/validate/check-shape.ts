import type { Machine } from '../../schema/machine.ts'
import { nearest } from '../../schema/nearest.ts'
import type { DiagnosticCode } from '../diagnostics/codes.ts'
import type { Diagnostic } from '../diagnostics/diagnostic.ts'
import validateMachine, { type SchemaError } from '../generated/validate-machine.js'
import { childPointer, type JsonObject, type JsonValue, type Pointer, pointerKeys } from '../load/origin.ts'
import { locate, type Origins } from './locate.ts'
import { retypeInterpolated } from './retype-interpolated.ts'
import { describedAt, machineSchema, resolveNode, schemaAt } from './schema-walk.ts'
import { mayBeSecret } from './secret-places.ts'
import { type Sketch, sketchOf } from './sketch.ts'

export interface ShapeResult {
  /** The document with every default filled in; `null` when its shape is wrong. */
  readonly settings: Machine | null
  readonly diagnostics: Diagnostic[]
  /** Where `settings` is `null`: what is right of the document, so that one mistake does not hide the others. */
  readonly sketch: Sketch | null
}

const BUILT_IN_SERVICES = Object.keys(schemaAt(['services'])?.properties ?? {})

/**
 * Checks a document against the schema: all findings, one for each place. `unresolved` values have a finding already,
 * and their type proves nothing.
 */
export function checkShape(document: JsonObject, origins: Origins, unresolved: ReadonlySet<Pointer>): ShapeResult {
  const settings = structuredClone(document)
  retypeInterpolated(settings, origins)
  if (validateMachine(settings)) return { settings: settings as unknown as Machine, diagnostics: [], sketch: null }
  const findings = new Map<Pointer, Diagnostic>()
  for (const error of relevantErrors(validateMachine.errors ?? [])) {
    const finding = describe(error, document, origins)
    if (!findings.has(finding.pointer) && !unresolved.has(finding.pointer))
      findings.set(finding.pointer, finding.diagnostic)
  }
  // The check has put defaults into the other copy.
  const retyped = structuredClone(document)
  retypeInterpolated(retyped, origins)
  return { settings: null, diagnostics: [...findings.values()], sketch: sketchOf(retyped, unresolved) }
}

/** Of an alternative only the summary is kept: its branches contradict one another. */
function relevantErrors(errors: readonly SchemaError[]): SchemaError[] {
  const alternatives = new Set(errors.filter(({ keyword }) => keyword === 'oneOf').map((error) => error.instancePath))
  return errors.filter(
    (error) =>
      // What is wrong with a key is summed up by an error of its own.
      (error.propertyName === undefined || error.keyword === 'propertyNames') &&
      (error.keyword === 'oneOf' || !alternatives.has(error.instancePath)),
  )
}

interface Finding {
  readonly pointer: Pointer
  readonly diagnostic: Diagnostic
}

function describe(error: SchemaError, document: JsonObject, origins: Origins): Finding {
  const { instancePath: at, params } = error
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownKey(at, String(params.additionalProperty), origins)
    case 'required':
      return missingKey(at, String(params.missingProperty), origins)
    case 'propertyNames':
      return badVariableName(at, String(params.propertyName), origins)
    default:
      return wrongValue(error, valueAt(document, at), origins)
  }
}

function finding(
  code: DiagnosticCode,
  pointer: Pointer,
  part: 'key' | 'value',
  origins: Origins,
  message: string,
  hint?: string,
): Finding {
  const diagnostic = { code, severity: 'error' as const, message, ...locate(origins, pointer, part) }
  return { pointer, diagnostic: hint === undefined ? diagnostic : { ...diagnostic, hint } }
}

function unknownKey(parent: Pointer, key: string, origins: Origins): Finding {
  const known = Object.keys(schemaAt(pointerKeys(parent))?.properties ?? {})
  const guess = nearest(key, known)
  const place = parent === '' ? 'the machine file' : `"${dotted(parent)}"`
  const hint = guess === undefined ? `known keys: ${known.join(', ')}` : `did you mean "${guess}"?`
  return finding(
    'UNKNOWN_KEY',
    childPointer(parent, key),
    'key',
    origins,
    `cannot use key "${key}" in ${place}: there is no such key`,
    hint,
  )
}

function missingKey(parent: Pointer, key: string, origins: Origins): Finding {
  const pointer = childPointer(parent, key)
  const service = parent.match(/^\/services\/([^/]+)$/)?.[1]
  const guess = service === undefined ? undefined : nearest(service, BUILT_IN_SERVICES)
  if (service !== undefined && key === 'command') {
    const message = `cannot use service "${service}": it is none of the built-in ones, and a custom service needs a "command"`
    const hint = guess === undefined ? `built-in: ${BUILT_IN_SERVICES.join(', ')}` : `did you mean "${guess}"?`
    return finding('UNKNOWN_SERVICE', parent, 'key', origins, message, hint)
  }
  const example = JSON.stringify(describedAt(pointerKeys(pointer))?.examples?.[0] ?? '...')
  const place = parent === '' ? 'the machine file' : `"${dotted(parent)}"`
  const message = `cannot use ${place}: "${key}" is missing`
  // Two keys may be missing in one place.
  return { ...finding('MISSING_KEY', parent, 'key', origins, message, `add ${key}: ${example}`), pointer }
}

function badVariableName(parent: Pointer, name: string, origins: Origins): Finding {
  const message = `cannot use "${name}" as an environment variable: its name has at most 128 of letters, digits and "_", does not start with a digit, and is not "__proto__"`
  return finding('INVALID_VALUE', childPointer(parent, name), 'key', origins, message)
}

function wrongValue(error: SchemaError, value: JsonValue | undefined, origins: Origins): Finding {
  const pointer = error.instancePath
  const node = describedAt(pointerKeys(pointer))
  const subject = `cannot use ${shownValue(pointer, value)} for "${dotted(pointer)}"`
  const code = codeOf(error, pointer)
  return finding(
    code,
    pointer,
    'value',
    origins,
    `${subject}: ${reason(error, value)}`,
    hintFor(error, value, node?.examples?.[0]),
  )
}

/** A value as a message may show it: short, and nothing that may be a secret. */
function shownValue(pointer: Pointer, value: JsonValue | undefined): string {
  if (typeof value === 'object' || value === undefined) return article(typeName(value))
  if (mayBeSecret(pointer, value)) return 'this value'
  const shown = JSON.stringify(value)
  return shown.length > 60 ? `${shown.slice(0, 57)}...` : shown
}

function codeOf(error: SchemaError, pointer: Pointer): DiagnosticCode {
  if (pointer === '/machine/id' && error.keyword !== 'type') return 'BAD_NAME'
  return error.keyword === 'type' ? 'WRONG_TYPE' : 'INVALID_VALUE'
}

function reason(error: SchemaError, value: JsonValue | undefined): string {
  const node = describedAt(pointerKeys(error.instancePath))
  const format = node?.$ref ?? ''
  if (error.keyword === 'type' && format.endsWith('/duration')) return 'a duration needs a unit'
  if (error.keyword === 'type' && format.endsWith('/size')) return 'a size needs a unit'
  switch (error.keyword) {
    case 'type':
      return `it must be ${article([error.params.type].flat().join(' or '))}, not ${article(typeName(value))}`
    case 'enum':
      return `it must be one of ${(error.params.allowedValues as unknown[]).map((item) => JSON.stringify(item)).join(', ')}`
    case 'oneOf':
      return `it must be ${alternatives(node?.oneOf ?? [])}`
    case 'pattern':
      return format === '' || node?.description === undefined
        ? 'it does not have the right form'
        : `it must be ${lowerFirst(machineDef(format) ?? 'of the right form')}`
    default:
      return limit(error.keyword, error.params)
  }
}

function limit(keyword: string, params: Readonly<Record<string, unknown>>): string {
  switch (keyword) {
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
      return `it must be ${params.comparison} ${params.limit}`
    case 'minLength':
    case 'minItems':
      return 'it must not be empty'
    case 'maxLength':
      return `it may have ${params.limit} characters at the most`
    case 'uniqueItems':
      return 'it has the same item twice'
    default:
      return 'it is not allowed'
  }
}

function machineDef(reference: string): string | undefined {
  return machineSchema().$defs?.[reference.replace('#/$defs/', '')]?.description?.replace(/\.$/, '')
}

function alternatives(nodes: readonly { $ref?: string; type?: string | readonly string[]; const?: unknown }[]): string {
  return nodes
    .map((node) => resolveNode(node))
    .map((node) =>
      node.const === undefined ? article([node.type ?? 'value'].flat().join(' or ')) : JSON.stringify(node.const),
    )
    .join(' or ')
}

function hintFor(error: SchemaError, value: JsonValue | undefined, example: unknown): string | undefined {
  if (error.keyword === 'enum' && typeof value === 'string') {
    const guess = nearest(value, (error.params.allowedValues as unknown[]).map(String))
    if (guess !== undefined) return `did you mean ${JSON.stringify(guess)}?`
  }
  return example === undefined ? undefined : `for example ${JSON.stringify(example)}`
}

function typeName(value: JsonValue | undefined): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'list'
  return typeof value === 'object' ? 'map' : typeof value
}

const ARTICLES: Record<string, string> = { object: 'a map', array: 'a list', integer: 'an integer', null: 'null' }
const article = (type: string): string =>
  type
    .split(' or ')
    .map((name) => ARTICLES[name] ?? `a ${name}`)
    .join(' or ')
const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)

/** `/services/comfyui/basePort` as people write it: `services.comfyui.basePort`. */
export function dotted(pointer: Pointer): string {
  return pointerKeys(pointer).join('.')
}

function valueAt(document: JsonValue, pointer: Pointer): JsonValue | undefined {
  let value: JsonValue | undefined = document
  for (const key of pointerKeys(pointer)) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as JsonObject)[key]
  }
  return value
}
