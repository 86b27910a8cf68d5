import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { generateDerived } from '../../build/derived.ts'

const committed = (await generateDerived()).filter((file) => file.committed)

test('types and documentation are among the committed files that are made', () => {
  assert.equal(committed.map(({ path }) => path).sort(), ['docs/configuration.md', 'schema/machine.ts'])
})

for (const { path, content } of committed) {
  test(`${path} is what "npm run generate" makes of the schema`, () => {
    assert.ok(readFileSync(path, 'utf8') === content, `${path} is stale: run "npm run generate" and commit it`)
  })
}

test.run()
