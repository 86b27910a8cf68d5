import { stringify } from 'yaml'
import type { SchemaNode } from '../generator/validate/schema-walk.ts'
import { code, table } from './markdown.ts'

/** Maps that many fields share; each has a section of its own. */
const SHARED_MAPS = ['restart', 'liveness', 'jobLiveness', 'logs', 'env']

/** Formats that fields name as their type. */
const FORMATS: Readonly<Record<string, string>> = {
  duration: '[duration](#durations-and-sizes)',
  pause: '[duration](#durations-and-sizes), zero too',
  size: '[size](#durations-and-sizes)',
  port: 'port, 1 to 65535',
  address: 'IP address or `localhost`',
  path: 'path',
  absolutePath: 'absolute path',
  urlPath: 'URL path, from `/`',
  text: 'text',
  signal: '`SIGTERM`, `SIGINT`, `SIGQUIT`, `SIGHUP`, `SIGUSR1` or `SIGUSR2`',
  user: 'user name',
  command: 'list of text, at least one',
}

const HEAD = ['Field', 'Type', 'Default', 'Description', 'Example']

/** The fields of a map of the format, those of the maps in it included, as one table. */
export function fieldTable(schema: SchemaNode, node: SchemaNode): string {
  return table(HEAD, rowsOf(schema, node, ''))
}

function rowsOf(schema: SchemaNode, node: SchemaNode, prefix: string): string[][] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const name = `${prefix}${key}`
    const resolved = resolve(schema, child)
    const isRequired = node.required?.includes(key) ?? false
    const row = [
      code(name),
      typeOf(schema, child),
      defaultOf(resolved, isRequired),
      resolved.description ?? '',
      examplesOf(resolved),
    ]
    if (child.$ref !== undefined || resolved.properties === undefined) return [row]
    return [row, ...rowsOf(schema, resolved, `${name}.`)]
  })
}

function resolve(schema: SchemaNode, node: SchemaNode): SchemaNode {
  if (node.$ref === undefined) return node
  const target = schema.$defs?.[referenceOf(node)]
  return target === undefined ? node : { ...resolve(schema, target), ...node }
}

const referenceOf = (node: SchemaNode): string => (node.$ref ?? '').replace('#/$defs/', '')

function typeOf(schema: SchemaNode, node: SchemaNode): string {
  const reference = referenceOf(node)
  if (SHARED_MAPS.includes(reference)) return `[${reference}](#${reference.toLowerCase()})`
  const format = FORMATS[reference]
  if (format !== undefined) return format
  if (reference !== '') return `[map](#${sectionOf(reference)})`
  if (node.oneOf !== undefined) return node.oneOf.map((choice) => typeOf(schema, choice)).join(', or ')
  if (node.const !== undefined) return code(JSON.stringify(node.const).replaceAll('"', ''))
  if (node.enum !== undefined) return node.enum.map((value) => code(String(value))).join(' or ')
  if (node['x-machinegen-secret'] === 'always') return '[secret](#secrets) text'
  return plainType(schema, node)
}

function plainType(schema: SchemaNode, node: SchemaNode): string {
  switch (node.type) {
    case 'array':
      return `list of: ${typeOf(schema, node.items ?? {})}`
    case 'object':
      return 'map'
    case 'integer':
      return `whole number${bounds(node)}`
    case 'number':
      return `number${bounds(node)}`
    case 'string':
      return node.pattern === undefined ? 'text' : `text that matches ${code(node.pattern)}`
    default:
      return [node.type ?? 'any'].flat().join(' or ')
  }
}

function bounds({ minimum, maximum, exclusiveMinimum }: SchemaNode & { exclusiveMinimum?: number }): string {
  if (exclusiveMinimum !== undefined)
    return `, above ${exclusiveMinimum}${maximum === undefined ? '' : ` and up to ${maximum}`}`
  if (minimum === undefined) return maximum === undefined ? '' : `, up to ${maximum}`
  return maximum === undefined ? `, ${minimum} or more` : `, ${minimum} to ${maximum}`
}

function defaultOf(node: SchemaNode, isRequired: boolean): string {
  if (isRequired) return '**required**'
  if (node.default === undefined) return 'absent'
  return isMap(node.default) ? '' : valueText(node.default)
}

const isMap = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

function examplesOf(node: SchemaNode): string {
  return (node.examples ?? []).map(valueText).join(', ')
}

/** As it would stand in a machine file. */
function valueText(value: unknown): string {
  return code(stringify(value, { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: false }).trim())
}

const SECTIONS: Readonly<Record<string, string>> = {
  custom: 'custom-services',
  customNode: 'customnodes',
  gitCredential: 'git',
}

/** The anchor of the section of a service, or of what lists hold. */
export function sectionOf(definition: string): string {
  return SECTIONS[definition] ?? `services${definition}`
}
