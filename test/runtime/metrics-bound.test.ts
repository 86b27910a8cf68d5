import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readAccessLine } from '../../runtime/sidecar/metrics/access-line.ts'
import { accessRoutes } from '../../runtime/sidecar/metrics/access-routes.ts'
import { countAccess, emptyAccessTotals } from '../../runtime/sidecar/metrics/access-totals.ts'
import { renderMetrics } from '../../runtime/sidecar/metrics/metrics-sections.ts'
import { createProbeDurations, PROBE_KINDS } from '../../runtime/sidecar/metrics/probe-durations.ts'
import type { Plan } from '../../schema/plan.ts'
import { accessLine } from '../fixtures/access-line.ts'
import { gpuFixture, planFixture } from '../fixtures/plan-fixture.ts'
import { busyView, collectedFixture, gpuReading, resourcesFixture } from './metrics-view.ts'
import { type ParsedFamily, parseExposition, seriesKey } from './parse-exposition.ts'

/** The most series that a machine of the plan can ever have: docs/metrics.md gives the same numbers. */
function seriesBound({ services, gpus, paths, proxy }: Plan): number {
  const routes = proxy === null ? 0 : 4 + 2 * proxy.routes.length + proxy.gpuPorts.length
  return 70 * services.length + 12 * gpus.length + 95 * routes + 3 * (Object.keys(paths).length + 1) + 50
}

/** All values that a label may have on a machine of the plan. */
function allowedValues(plan: Plan): ReadonlyMap<string, (value: string) => boolean> {
  const among = (values: Iterable<unknown>) => {
    const set = new Set([...values].map(String))
    return (value: string) => set.has(value)
  }
  const gpus = plan.gpus.map(({ index }) => index)
  return new Map([
    ['service', among(plan.services.map(({ name }) => name))],
    ['gpu', among(gpus)],
    ['model', among(plan.gpus.map(({ model }) => model))],
    ['device', among(plan.gpus.map(({ device }) => device))],
    ['path', among([...Object.values(plan.paths), '/'])],
    ['route', among(accessRoutes(plan.proxy!))],
    ['code', (value) => /^[1-5]([0-9]{2}|xx)$/.test(value)],
    ['status', (value) => /^[1-5]xx$/.test(value)],
    ['le', (value) => /^([0-9.]+|\+Inf)$/.test(value)],
    ...['state', 'phase', 'reason', 'kind', 'type', 'target'].map(
      (name) => [name, (value: string) => /^[a-z0-9-]+$/.test(value)] as const,
    ),
    ...['mock', 'simulated', 'optional'].map((name) => [name, among([true, false])] as const),
    ['machine', among([plan.machine.id])],
    ['version', among(['1.2.3'])],
    ['node', among([process.version])],
  ])
}

function countSeries(families: ReadonlyMap<string, ParsedFamily>): number {
  return new Set([...families.values()].flatMap(({ series }) => series.map(seriesKey))).size
}

/** Text that wants out of its quotes. */
const hostileText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '"} 1\nmachine_fake{a="',
    '\\',
    '\\"',
    '\n',
    '\r\n',
    '',
    '__proto__',
    'constructor',
    '\u2028',
    '{a="b"} 1',
  ),
)

const hostileLine = fc.oneof(
  hostileText,
  fc.json(),
  fc
    .record({
      route: fc.oneof(hostileText, fc.constantFrom('/comfyui/0/', '/api/', ':20007', '')),
      status: fc.oneof(fc.integer({ min: -1, max: 700 }), fc.constantFrom<unknown>('200', null, {}, 1e9)),
      requestSeconds: fc.oneof(fc.double(), fc.integer({ min: 0, max: 1000 })),
      bytesReceived: fc.oneof(fc.maxSafeNat(), fc.double()),
      bytesSent: fc.maxSafeNat(),
      path: hostileText,
    })
    .map((change) => accessLine(change)),
)

test('whatever stands in the access log, series are those of the plan and the page is whole', () => {
  const plan = planFixture({ types: ['comfyui', 'redis-worker', 'ollama'] })
  const view = busyView(plan)
  const known = accessRoutes(plan.proxy!)
  fc.assert(
    fc.property(fc.array(hostileLine, { maxLength: 300 }), (lines) => {
      const totals = emptyAccessTotals()
      for (const line of lines) {
        const entry = readAccessLine(line)
        if (entry === null) totals.malformedLines += 1
        else countAccess(totals, known, entry)
      }
      checkPage(plan, renderMetrics(view, collectedFixture(plan, { access: { totals, behindBytes: 0, version: 1 } })))
    }),
    { numRuns: 60 },
  )
})

test('every status on every route is within the bound, and nothing adds to it', () => {
  const plan = planFixture({ gpuCount: 8, types: ['comfyui', 'automatic1111', 'redis-worker', 'ollama'] })
  const known = accessRoutes(plan.proxy!)
  const totals = emptyAccessTotals()
  const probes = createProbeDurations(plan.services)
  for (const route of [...known, '', '/nowhere/', '/nowhere/else/']) {
    for (let status = 100; status < 600; status += 1) {
      countAccess(totals, known, readAccessLine(accessLine({ route, status }))!)
    }
  }
  for (const service of [...plan.services.map(({ name }) => name), 'stranger', '__proto__']) {
    for (const kind of PROBE_KINDS) probes.onProbe(service, kind, 12, false)
  }
  probes.onProbe('nginx', 'strange' as 'liveness', 1, true)
  const disks = [...Object.values(plan.paths), '/', '/mnt', '/proc'].map((path) => ({
    path,
    totalBytes: 2,
    freeBytes: 1,
    freeInodes: 1,
  }))
  const gpus = Array.from({ length: 100 }, (_, index) => gpuReading(index))
  const resources = resourcesFixture(plan, { disks, gpus, missingGpus: gpus.map(({ index }) => index) })
  const view = busyView(plan, { resources: () => resources })
  const text = renderMetrics(view, collectedFixture(plan, { probes, access: { totals, behindBytes: 0, version: 1 } }))
  const count = checkPage(plan, text)
  assert.ok(
    count > seriesBound(plan) * 0.8,
    `the bound of ${seriesBound(plan)} is far above the ${count} that there are`,
  )
})

test('names that a machine file can hold are escaped and read back as they were', () => {
  fc.assert(
    fc.property(hostileText, hostileText, (model, device) => {
      const plan = planFixture({ plan: { gpus: [{ ...gpuFixture(0), model, device }] }, gpuCount: 1 })
      const families = parseExposition(renderMetrics(busyView(plan), collectedFixture(plan)))
      const { labels } = families.get('machine_gpu_info')!.series[0]!
      assert.is(labels.get('model'), model)
      assert.is(labels.get('device'), device)
    }),
  )
})

function checkPage(plan: Plan, text: string): number {
  const families = parseExposition(text)
  const allowed = allowedValues(plan)
  for (const { series } of families.values()) {
    for (const { name, labels } of series) {
      for (const [label, value] of labels) assert.ok(allowed.get(label)?.(value), `${name}: ${label}="${value}"`)
    }
  }
  const count = countSeries(families)
  assert.ok(count <= seriesBound(plan), `${count} series, at most ${seriesBound(plan)} by the plan`)
  return count
}

test.run()
