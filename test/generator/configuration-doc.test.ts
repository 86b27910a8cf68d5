import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { configurationDoc } from '../../build/configuration-doc.ts'
import { compile } from '../../generator/compile.ts'
import { ENVIRONMENT_TABLE } from '../../generator/load/environment-table.ts'
import { machineSchema, type SchemaNode } from '../../generator/validate/schema-walk.ts'

const page = configurationDoc(machineSchema(), ENVIRONMENT_TABLE)

/** Anchors as GitHub makes them from headings. */
function anchorsOf(markdown: string): Set<string> {
  const headings = markdown.replaceAll(/^```.*?^```/gms, '').matchAll(/^#+ (.*)$/gm)
  const slug = (title: string) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-')
  return new Set([...headings].map(([, title = '']) => slug(title)))
}

test('the same schema and table give the same page', () => {
  assert.is(configurationDoc(structuredClone(machineSchema()), [...ENVIRONMENT_TABLE]), page)
})

test('the complete example compiles without a finding', () => {
  const example = /## A complete example.*?```yaml\n(.*?)```/s.exec(page)?.[1] ?? ''
  const { diagnostics, artifacts } = compile({ sources: [{ file: 'example.yaml', text: example }] })
  assert.equal(diagnostics, [])
  assert.ok(artifacts.length > 0)
})

/** Names of the fields of a section, as its table has them. */
function namesOf(node: SchemaNode, prefix = ''): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => [
    `${prefix}${key}`,
    ...namesOf(child, `${prefix}${key}.`),
  ])
}

test('the page has every field of the format', () => {
  const { services: _, ...sections } = machineSchema().properties ?? {}
  const names = [...Object.values(sections), ...Object.values(machineSchema().$defs ?? {})].flatMap((node) =>
    namesOf(node),
  )
  assert.ok(names.length > 150)
  for (const name of names) assert.ok(page.includes(`\n| \`${name}\` |`), name)
})

test('the page has every environment variable of the table', () => {
  for (const { variables } of ENVIRONMENT_TABLE) {
    for (const { name } of variables) assert.ok(page.includes(`\`${name}\``), name)
  }
})

test('every link of the page leads to a heading', () => {
  const troubleshooting = anchorsOf(readFileSync('docs/troubleshooting.md', 'utf8'))
  const own = anchorsOf(page)
  const links = [...page.matchAll(/\]\((troubleshooting\.md)?#([^)]*)\)/g)]
  assert.ok(links.length > 20)
  for (const [link, file, anchor = ''] of links) {
    assert.ok((file === undefined ? own : troubleshooting).has(anchor), `${link} leads nowhere`)
  }
})

test('every row of a table has as many cells as its head', () => {
  const cells = (line: string) => line.replaceAll('\\|', '').split('|').length
  for (const block of page.match(/(^\|.*\n)+/gm) ?? []) {
    const [head = '', ...rows] = block.trimEnd().split('\n')
    for (const row of rows) assert.is(cells(row), cells(head), row)
  }
})

test.run()
