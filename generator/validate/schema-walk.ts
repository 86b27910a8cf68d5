import { schemaWithoutProse, wholeSchema } from '../generated/schema-texts.ts'

/** The keywords of a JSON Schema node that the compiler reads itself; checking is done by ajv's generated code. */
export interface SchemaNode {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly additionalProperties?: boolean | SchemaNode
  readonly items?: SchemaNode
  readonly oneOf?: readonly SchemaNode[]
  readonly $defs?: Readonly<Record<string, SchemaNode>>
  readonly 'x-machinegen-secret'?: 'always' | 'references'
  readonly 'x-machinegen-path'?: 'any' | 'absolute'
}

/** The schema of machine files, descriptions and all. */
export function machineSchema(): SchemaNode {
  whole ??= JSON.parse(wholeSchema) as SchemaNode
  return whole
}

let whole: SchemaNode | undefined

/** What checks read of it. */
const root = JSON.parse(schemaWithoutProse) as SchemaNode

/** A node with its `$ref` followed, without the prose behind that; keywords beside the `$ref` win. */
export function resolveNode(node: SchemaNode): SchemaNode {
  const known = resolved.get(node)
  if (known !== undefined) return known
  const target = resolveIn(root, node)
  resolved.set(node, target)
  return target
}

/** The schema does not change, and each value of a document asks for the nodes above its own. */
const resolved = new WeakMap<SchemaNode, SchemaNode>()

function resolveIn(schema: SchemaNode, node: SchemaNode): SchemaNode {
  if (node.$ref === undefined) return node
  const target = schema.$defs?.[node.$ref.replace('#/$defs/', '')]
  return target === undefined ? node : { ...resolveIn(schema, target), ...node }
}

/** The schema of the value at a path of keys, without prose, or `null` where the format has no such place. */
export function schemaAt(keys: readonly string[]): SchemaNode | null {
  return nodeAt(root, keys, resolveNode)
}

/** The same with descriptions and examples, for messages. */
export function describedAt(keys: readonly string[]): SchemaNode | null {
  return nodeAt(machineSchema(), keys, describedNode)
}

/** A node of `machineSchema` with its `$ref` followed. */
export function describedNode(node: SchemaNode): SchemaNode {
  return resolveIn(machineSchema(), node)
}

function nodeAt(
  schema: SchemaNode,
  keys: readonly string[],
  resolve: (node: SchemaNode) => SchemaNode,
): SchemaNode | null {
  let node = schema
  for (const key of keys) {
    const child = childSchema(node, key)
    if (child === null) return null
    node = resolve(child)
  }
  return node
}

function childSchema(node: SchemaNode, key: string): SchemaNode | null {
  const property =
    node.properties !== undefined && Object.hasOwn(node.properties, key) ? node.properties[key] : undefined
  if (property !== undefined) return property
  if (typeof node.additionalProperties === 'object') return node.additionalProperties
  return node.items !== undefined && /^\d+$/.test(key) ? node.items : null
}

/** Whether `${VAR}` in a value is replaced when the file is read, or stays a reference until the machine boots. */
export function treatmentOf(keys: readonly string[]): 'plain' | 'secret' | 'deferred' {
  const secret = schemaAt(keys)?.['x-machinegen-secret']
  if (secret === 'always') return 'secret'
  return secret === 'references' ? 'deferred' : 'plain'
}
