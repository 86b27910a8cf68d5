import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { hasPromtool, promtool } from '../fixtures/promtool.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { fullPage } from './full-page.ts'
import { parseExposition } from './parse-exposition.ts'

const DASHBOARD = 'examples/grafana/dashboard.json'
const ALERTS = 'examples/grafana/alerts.yaml'

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[]
}

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook_url: string }
}

const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8'))
const panels: readonly Panel[] = dashboard.panels
const alerts: readonly Alert[] = parse(readFileSync(ALERTS, 'utf8')).groups.flatMap(
  ({ rules }: { rules: readonly Alert[] }) => rules,
)
const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: title, expr })))
const variables = dashboard.templating.list.flatMap(({ name, definition }: Record<string, string>) =>
  definition === undefined ? [] : [{ where: name, expr: definition }],
)
const annotations = dashboard.annotations.list.flatMap(({ name, expr }: Record<string, string>) =>
  expr === undefined ? [] : [{ where: name, expr }],
)
const expressions: readonly { where: string; expr: string }[] = [
  ...queries,
  ...variables,
  ...annotations,
  ...alerts.map(({ alert, expr }) => ({ where: alert, expr })),
]

/** The labels of each series that a page can have, beside those that Prometheus gives. */
const labelsOf = new Map<string, Set<string>>()
for (const { series } of parseExposition(fullPage()).values()) {
  for (const { name, labels } of series) {
    const known = labelsOf.get(name) ?? new Set(['instance', 'job'])
    for (const label of labels.keys()) known.add(label)
    labelsOf.set(name, known)
  }
}

const namesIn = (expr: string) => [...expr.matchAll(/\bmachine_[a-z0-9_]+/g)].map(([name]) => name)

test('every metric that dashboard and alerts ask for is one that a machine has', () => {
  for (const { where, expr } of expressions) {
    for (const name of namesIn(expr)) assert.ok(labelsOf.has(name), `${where}: there is no ${name}`)
  }
})

test('every label that they select by is one that the metric has', () => {
  for (const { where, expr } of expressions) {
    for (const [, name, selectors] of expr.matchAll(/\b(machine_[a-z0-9_]+)\{([^}]*)\}/g)) {
      for (const [, label] of selectors!.matchAll(/(\w+)\s*[=!]~?\s*"/g)) {
        assert.ok(labelsOf.get(name!)?.has(label!), `${where}: ${name} has no label ${label}`)
      }
    }
  }
})

test('every metric has its place in the dashboard', () => {
  const shown = new Set(queries.concat(variables).flatMap(({ expr }) => namesIn(expr)))
  const families = [...parseExposition(fullPage()).values()].map(({ name, type }) =>
    type === 'histogram' ? `${name}_bucket` : name,
  )
  assert.equal(
    families.filter((name) => !shown.has(name)),
    [],
  )
})

test('brackets and quotes of every expression are in pairs', () => {
  for (const { where, expr } of expressions) {
    const bare = expr.replaceAll(/"[^"]*"/g, '')
    assert.not.match(bare, /"/, where)
    for (const [open, close] of ['()', '{}', '[]'].map((pair) => [...pair])) {
      assert.is(bare.split(open!).length, bare.split(close!).length, `${where}: ${expr}`)
    }
  }
})

test('panels have titles, descriptions, numbers of their own, and do not lie on each other', () => {
  assert.is(new Set(panels.map(({ id }) => id)).size, panels.length)
  const taken = new Set<string>()
  for (const { title, type, description, gridPos, targets = [] } of panels) {
    assert.ok(title.length > 0)
    assert.ok(type === 'row' || (description ?? '').length > 0, title)
    assert.ok(gridPos.x + gridPos.w <= 24, title)
    for (const { datasource } of targets) assert.is(datasource.uid, `$${'{datasource}'}`)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        assert.not.ok(taken.has(`${x},${y}`), `${title} lies on another panel`)
        taken.add(`${x},${y}`)
      }
    }
  }
  assert.ok(dashboard.schemaVersion >= 38)
})

test('every query is of the chosen machines', () => {
  for (const { where, expr } of queries) {
    for (const [name] of expr.matchAll(/\bmachine_[a-z0-9_]+(?!\w)(?!\{instance=~"\$instance")/g)) {
      // Labels that a join brings along are no metrics.
      assert.not.ok(labelsOf.has(name), `${where}: ${name} is of all machines`)
    }
  }
})

test('alerts say how long, how bad, what, and where to read on', () => {
  const headings = new Set(
    [...readFileSync('docs/troubleshooting.md', 'utf8').matchAll(/^### (\w+)$/gm)].map(([, name]) =>
      name!.toLowerCase(),
    ),
  )
  assert.is(new Set(alerts.map(({ alert }) => alert)).size, alerts.length)
  for (const { alert, for: time, labels, annotations: told } of alerts) {
    assert.match(time, /^\d+[mh]$/, alert)
    assert.match(labels.severity, /^(critical|warning)$/, alert)
    assert.ok(told.summary.includes('$labels.instance'), alert)
    assert.match(told.description, /^[A-Zn].*\.$/, alert)
    const [file, heading] = told.runbook_url.split('#')
    assert.is(file, 'docs/troubleshooting.md', alert)
    assert.is(heading, alert.toLowerCase())
    assert.ok(headings.has(heading ?? ''), `${alert} has no section in ${file}`)
  }
})

const withPromtool = hasPromtool ? test : test.skip

withPromtool('Prometheus takes the page, the alerts and the queries', () => {
  assert.is(promtool(['check', 'metrics'], fullPage()), '')
  assert.is(promtool(['check', 'rules', ALERTS]), '')
  const file = `${temporaryDirectory()}/queries.yaml`
  const rules = queries.concat(annotations).map(({ expr }, index) => ({
    record: `query:${index}`,
    expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$\w+/g, '.*'),
  }))
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'queries', rules }] }))
  assert.is(promtool(['check', 'rules', file]), '')
})

withPromtool('alerts come when they should, and only then', () => {
  const file = `${temporaryDirectory()}/alerts.test.yaml`
  const text = readFileSync('test/fixtures/alerts.test.yaml', 'utf8').replace('RULES', resolve(ALERTS))
  writeFileSync(file, text)
  assert.is(promtool(['test', 'rules', file]), '')
})

test.run()
