import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startMetrics } from '../../runtime/sidecar/metrics/collect-metrics.ts'
import { createMetricsPage } from '../../runtime/sidecar/metrics/metrics-page.ts'
import { renderMetrics } from '../../runtime/sidecar/metrics/metrics-sections.ts'
import type { Plan } from '../../schema/plan.ts'
import { accessLine } from '../fixtures/access-line.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { busyView, collectedFixture } from './metrics-view.ts'
import { parseExposition } from './parse-exposition.ts'

function machineWithLog(): { plan: Plan; current: string } {
  const plan = planFixture({ root: temporaryDirectory() })
  const directory = plan.proxy!.accessLogDirectory
  mkdirSync(directory, { recursive: true })
  const current = `${directory}/current`
  writeFileSync(current, `${accessLine()}\n`)
  return { plan, current }
}

/** The page once it says so. */
async function untilSays(page: () => string, text: string): Promise<void> {
  for (let waited = 0; !page().includes(text); waited += 1) {
    if (waited > 400) throw new Error(`the page never says "${text}"`)
    await pause(25)
  }
}

const start = (plan: Plan, errors: string[] = []) => {
  const metrics = startMetrics({ view: busyView(plan), onError: ({ message }) => errors.push(message) })
  return { ...metrics, text: () => metrics.page(undefined).bytes.toString() }
}

test('requests and probes are on the page, and the next sidecar goes on with the requests', async () => {
  const { plan, current } = machineWithLog()
  const errors: string[] = []
  const first = start(plan, errors)
  first.onProbe('nginx', 'liveness', 30, false)
  await pause(300)
  appendFileSync(current, `${accessLine()}\nno JSON\n${accessLine({ status: 502 })}\n`)
  await untilSays(first.text, 'machine_nginx_requests_total{route="/comfyui/0/",code="502"} 1\n')
  const text = first.text()
  parseExposition(text)
  assert.ok(text.includes('machine_nginx_requests_total{route="/comfyui/0/",code="200"} 1\n'), 'what was there counts')
  assert.ok(text.includes('machine_nginx_access_log_malformed_lines_total 1\n'))
  assert.ok(text.includes('machine_service_probe_failures_total{service="nginx",kind="liveness"} 1\n'))
  assert.match(text, /machine_service_probe_duration_seconds_bucket\{service="nginx",kind="liveness",le="0\.1"\} 1\n/)
  await first.close()

  appendFileSync(current, `${accessLine({ status: 502 })}\n`)
  const second = start(plan, errors)
  await untilSays(second.text, 'machine_nginx_requests_total{route="/comfyui/0/",code="502"} 2\n')
  assert.ok(second.text().includes('machine_nginx_requests_total{route="/comfyui/0/",code="200"} 1\n'))
  await second.close()
  await second.close()
  assert.equal(errors, [])
})

test('a log that cannot be read is told of once, and the page stays', async () => {
  const { plan } = machineWithLog()
  const directory = `${temporaryDirectory()}/file`
  writeFileSync(directory, '')
  const errors: string[] = []
  const metrics = start({ ...plan, proxy: { ...plan.proxy!, accessLogDirectory: directory } }, errors)
  await pause(2400)
  assert.is(errors.length, 1)
  assert.match(errors[0]!, /ENOTDIR/)
  parseExposition(metrics.text())
  await metrics.close()
})

test('a machine without a proxy says nothing of one', async () => {
  const metrics = start(planFixture({ root: temporaryDirectory(), proxy: null }))
  assert.not.match(metrics.text(), /machine_nginx/)
  await metrics.close()
})

test('the process tells what it costs', async () => {
  const metrics = start(planFixture({ root: temporaryDirectory(), proxy: null }))
  await pause(50)
  const families = parseExposition(metrics.text())
  const value = (name: string) => families.get(`machine_sidecar_${name}`)!.series[0]!.value
  assert.ok(value('process_resident_memory_bytes') > 10e6)
  assert.ok(value('process_cpu_seconds_total') > 0)
  assert.ok(value('process_open_fds') >= 3)
  assert.ok(Math.abs(value('process_start_time_seconds') - Date.now() / 1000) < 600)
  assert.ok(value('event_loop_busy_seconds_total') > 0)
  await metrics.close()
})

test('a page is made again where something has changed, and is what a new one would be', () => {
  const plan = planFixture({ types: ['comfyui', 'ollama'] })
  const fixture = busyView(plan)
  let { machine } = fixture
  const view = { ...fixture, machine: () => machine() }
  const collected = collectedFixture(plan)
  const page = createMetricsPage(view, () => collected)
  const first = page(undefined)
  assert.is(page(undefined).bytes, first.bytes)
  assert.is(page('text/plain').bytes, first.bytes)
  assert.is(first.bytes.toString(), renderMetrics(view, collected))

  const before = machine()
  machine = () => ({ ...before, stopping: true })
  const stopping = machine()
  machine = () => stopping
  const second = page(undefined)
  assert.is.not(second.bytes, first.bytes)
  assert.is(second.bytes.toString(), renderMetrics(view, collected))
  assert.ok(second.bytes.toString().includes('machine_stopping 1\n'))

  collected.probes.onProbe('nginx', 'startup', 5, true)
  assert.is(page(undefined).bytes.toString(), renderMetrics(view, collected))
  const openMetrics = page('application/openmetrics-text')
  assert.is(openMetrics.type, 'application/openmetrics-text; version=1.0.0; charset=utf-8')
  assert.is(openMetrics.bytes.toString(), renderMetrics(view, collected, 'openmetrics'))
})

test.run()
