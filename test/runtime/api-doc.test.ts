import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { STATES } from '../../runtime/shared/service-state.ts'
import { ERROR_CODES } from '../../runtime/sidecar/http/refusal.ts'

const page = readFileSync('docs/api.md', 'utf8')
const { paths, components } = JSON.parse(readFileSync('schema/openapi.json', 'utf8'))
const codes: string[] = components.schemas.Error.properties.error.properties.code.enum

test('every route stands in docs/api.md', () => {
  for (const path of Object.keys(paths)) {
    const verb = /^\/services\/\{name\}(\/(?:stop|restart))$/.exec(path)?.[1]
    assert.ok(page.includes(verb === undefined ? path : `\`${verb}\``), path)
  }
})

test('every parameter stands in docs/api.md', () => {
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods as object))
  const names = operations.flatMap(({ parameters = [] }) => parameters.map(({ name }: { name: string }) => name))
  for (const name of new Set(names)) assert.match(page, new RegExp(`[\`?&{]${name}\\b`), name)
})

test('the codes of errors are documented as they are', () => {
  assert.equal([...codes].sort(), [...ERROR_CODES].sort())
})

test('every error and every state stands in docs/api.md, and no error that there is none of', () => {
  for (const word of [...codes, ...STATES]) assert.ok(page.includes(`\`${word}\``), word)
  const section = page.slice(page.indexOf('## Errors'), page.indexOf('## The routes'))
  for (const [, code] of section.matchAll(/`([A-Z_]{4,})`/g)) assert.ok(codes.includes(code!), code)
})

test('every example is JSON', () => {
  const examples = [...page.matchAll(/```json\n([\s\S]*?)```/g)].map((match) => match[1]!)
  assert.ok(examples.length >= 8)
  for (const example of examples) assert.type(JSON.parse(example), 'object')
})

test.run()
