import Ajv2020 from 'ajv/dist/2020.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { childPointer, type Pointer } from '../../generator/load/origin.ts'
import { describedNode, machineSchema, type SchemaNode } from '../../generator/validate/schema-walk.ts'

interface Field {
  readonly pointer: Pointer
  readonly key: string
  readonly node: SchemaNode
  readonly isRequired: boolean
}

/** Every field of the format, by the JSON pointer of its node in the schema. */
function fieldsOf(node: SchemaNode, pointer: Pointer): Field[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    const at = childPointer(childPointer(pointer, 'properties'), key)
    return [
      { pointer: at, key, node: child, isRequired: node.required?.includes(key) ?? false },
      ...fieldsOf(child, at),
    ]
  })
}

const definitions = Object.entries(machineSchema().$defs ?? {}).map(([key, node]) => ({
  key,
  node,
  pointer: childPointer('/$defs', key),
}))

const fields = [
  ...fieldsOf(machineSchema(), ''),
  ...definitions.flatMap(({ node, pointer }) => fieldsOf(node, pointer)),
]

const ajv = new Ajv2020.default({ allowUnionTypes: true })
for (const keyword of ['x-machinegen-secret', 'x-machinegen-path']) ajv.addKeyword(keyword)
ajv.addSchema(machineSchema(), 'machine')

function assertValid(pointer: Pointer, value: unknown, what: string): void {
  const validate = ajv.compile({ $ref: `machine#${pointer}` })
  assert.ok(validate(value), `${what} ${JSON.stringify(value)} of ${pointer}: ${ajv.errorsText(validate.errors)}`)
}

test('the walk finds the fields', () => {
  assert.ok(fields.length > 150, `${fields.length} fields`)
})

test('every field and every shared type has a description that ends as a sentence', () => {
  for (const { pointer, node } of [...fields, ...definitions]) {
    assert.match(describedNode(node).description ?? '', /\S.*[.)]$/s, `${pointer} has no description`)
  }
})

test('every field and every shared type has an example, and every example is valid', () => {
  for (const { pointer, node } of [...fields, ...definitions]) {
    const { examples = [] } = describedNode(node)
    assert.ok(examples.length > 0, `${pointer} has no example`)
    for (const example of examples) assertValid(pointer, example, 'example')
  }
})

test('every default is valid', () => {
  for (const { pointer, node } of fields) {
    const { default: value } = describedNode(node)
    if (value !== undefined) assertValid(pointer, value, 'default')
  }
})

test('a field without a default is required, or its description says what its absence means', () => {
  for (const { pointer, node, isRequired } of fields) {
    const { default: value, description = '' } = describedNode(node)
    const isService = /^\/properties\/services\/properties\/[^/]+$/.test(pointer)
    assert.ok(
      isRequired || isService || value !== undefined || description.includes('Absent:'),
      `${pointer} is optional, has no default, and does not say what its absence means`,
    )
  }
})

test.run()
