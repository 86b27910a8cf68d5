import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fullPage } from './full-page.ts'
import { parseExposition } from './parse-exposition.ts'

const DOCUMENT = readFileSync('docs/metrics.md', 'utf8')

test('docs/metrics.md lists every metric as it is, and no other one', () => {
  const rows = [...DOCUMENT.matchAll(/^\| `(machine_\w+)` \| (\w+) \| (.*?) ?\| (.*) \|$/gm)]
  const documented = rows.map(([, name, type, labels, help]) => ({
    name,
    type,
    labels: labels!.split(/[ `]+/).filter(Boolean).sort(),
    help,
  }))
  const families = [...parseExposition(fullPage()).values()].map(({ name, type, help, series }) => ({
    name,
    type,
    labels: [...new Set(series.flatMap(({ labels }) => [...labels.keys()]))].filter((label) => label !== 'le').sort(),
    help,
  }))
  assert.equal(documented, families)
})

test('names have the units and endings that Prometheus wants', () => {
  for (const { name, type } of parseExposition(fullPage()).values()) {
    assert.match(name, /^machine_[a-z]+(_[a-z]+)*$/)
    assert.is(name.endsWith('_total'), type === 'counter', name)
    assert.not.match(name, /_(ms|milliseconds|percent|kb|mb|gb|count|sum|bucket)(_|$)/, name)
    if (type === 'histogram') assert.match(name, /_seconds$/)
  }
})

test.run()
