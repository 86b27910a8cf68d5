import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  chooseFormat,
  endPage,
  type Family,
  labelText,
  renderFamilies,
  withLabel,
} from '../../runtime/sidecar/metrics/exposition.ts'
import { bucketsOf, emptyHistogram, histogramSamples, observeValue } from '../../runtime/sidecar/metrics/histogram.ts'
import { renderMetrics } from '../../runtime/sidecar/metrics/metrics-sections.ts'
import { EXIT_REASONS } from '../../runtime/sidecar/state/exit-reason.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { exits, OK, REFUSED, running, seen, story } from './machine-records.ts'
import { busyView, collectedFixture, gpuReading, NOTHING_KNOWN, resourcesFixture } from './metrics-view.ts'
import { parseExposition } from './parse-exposition.ts'

/** The lines of a family, without HELP and TYPE. */
function linesOf(text: string, name: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
}

const PLAN = planFixture({ types: ['comfyui', 'redis-worker', 'ollama'] })

test('labels escape backslash, quote and line break, and leave out what is null', () => {
  assert.is(labelText({}), '')
  assert.is(labelText({ gpu: null }), '')
  assert.is(labelText({ service: 'nginx', gpu: 0 }), '{service="nginx",gpu="0"}')
  assert.is(labelText({ model: 'A "B"\\\nC' }), '{model="A \\"B\\"\\\\\\nC"}')
  assert.is(withLabel('', 'le', '+Inf'), '{le="+Inf"}')
  assert.is(withLabel('{a="b"}', 'le', '1.0'), '{a="b",le="1.0"}')
})

test('a counter carries its suffix in the name of the family only in the older format', () => {
  const family: Family = {
    name: 'machine_a',
    type: 'counter',
    help: 'A "b"\\\n.',
    samples: [{ labels: '', value: 1e21 }],
  }
  assert.is(
    renderFamilies([family], 'text'),
    '# HELP machine_a_total A "b"\\\\\\n.\n# TYPE machine_a_total counter\nmachine_a_total 1e+21\n',
  )
  assert.is(
    renderFamilies([family], 'openmetrics') + endPage('openmetrics'),
    '# HELP machine_a A \\"b\\"\\\\\\n.\n# TYPE machine_a counter\nmachine_a_total 1e+21\n# EOF\n',
  )
})

test('values that are no finite number have their own words', () => {
  const samples = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, -0.5, 1e-7].map((value) => ({
    labels: '',
    value,
  }))
  const text = renderFamilies([{ name: 'machine_a', type: 'gauge', help: 'A.', samples }], 'text')
  assert.equal(
    linesOf(text, 'machine_a'),
    ['+Inf', '-Inf', 'NaN', '-0.5', '1e-7'].map((value) => `machine_a ${value}`),
  )
})

test('a histogram adds up its buckets, and a value on a bound belongs below it', () => {
  const buckets = bucketsOf(0.5, 1)
  const histogram = emptyHistogram(buckets)
  for (const value of [0.1, 0.5, 0.75, 1, 7]) observeValue(buckets, histogram, value)
  assert.equal(
    histogramSamples(buckets, histogram, '{a="b"}').map(({ suffix, labels, value }) => `${suffix}${labels} ${value}`),
    [
      '_bucket{a="b",le="0.5"} 2',
      '_bucket{a="b",le="1.0"} 4',
      '_bucket{a="b",le="+Inf"} 5',
      '_sum{a="b"} 9.35',
      '_count{a="b"} 5',
    ],
  )
})

for (const [accept, format] of [
  [undefined, 'text'],
  ['', 'text'],
  ['*/*', 'text'],
  ['text/plain', 'text'],
  ['application/openmetrics-text', 'openmetrics'],
  ['application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1', 'openmetrics'],
  ['application/openmetrics-text; version=1.0.0; q=0.1, text/plain; q=0.9', 'text'],
  ['application/openmetrics-text;version=9.0.0,*/*;q=0.1', 'text'],
  ['application/openmetrics-text;q=0', 'text'],
  ['application/openmetrics-text;q=nonsense,,;;=', 'text'],
] as const) {
  test(`"${accept}" is answered with ${format}`, () => assert.is(chooseFormat(accept), format))
}

test('a machine on which all is known is a page that a strict reader takes, in both formats', () => {
  const collected = collectedFixture(PLAN)
  for (const format of ['text', 'openmetrics'] as const) {
    const families = parseExposition(renderMetrics(busyView(PLAN), collected, format), format)
    assert.ok(families.size > 40, `${families.size} families`)
    assert.equal(
      [...families.keys()].filter((name) => !name.startsWith('machine_')),
      [],
    )
  }
})

test('a machine of which nothing is known yet is a page too', () => {
  const teller = story(PLAN.services)
  const view = busyView(PLAN, {
    machine: teller.machine,
    resources: () => null,
    workload: () => null,
    journal: () => null,
    outbox: () => null,
  })
  const text = renderMetrics(view, collectedFixture(PLAN, { access: null }))
  const families = parseExposition(text)
  assert.not.ok(families.has('machine_boot_ready_seconds'))
  assert.not.ok(families.has('machine_service_startup_seconds'))
  assert.equal(linesOf(text, 'machine_service_up')[0], 'machine_service_up{service="sidecar"} 0')
})

test('a service of a GPU tells its restarts under its name and GPU', () => {
  const text = renderMetrics(busyView(PLAN), collectedFixture(PLAN))
  assert.equal(linesOf(text, 'machine_service_restarts_total').slice(0, 3), [
    'machine_service_restarts_total{service="sidecar"} 1',
    'machine_service_restarts_total{service="nginx"} 1',
    'machine_service_restarts_total{service="comfyui-gpu0",gpu="0"} 1',
  ])
  assert.ok(text.includes('machine_service_startup_seconds{service="comfyui-gpu1",gpu="1"} 2.5\n'))
  assert.ok(text.includes('machine_service_start_time_seconds{service="comfyui-gpu1",gpu="1"} 10\n'))
  assert.ok(
    text.includes(
      'machine_service_info{service="comfyui-gpu1",gpu="1",type="comfyui",kind="longrun",optional="false"} 1\n',
    ),
  )
})

for (const [what, tell, up, ready, state] of [
  ['runs and is ready', (t) => t.see('nginx', running(7, 1000), 1000).probe('nginx', OK, 1100), 1, 1, 'ready'],
  ['starts', (t) => t.see('nginx', running(7, 1000), 1000), 1, 0, 'starting'],
  [
    'was ready and is no more',
    (t) => t.see('nginx', running(7, 1000), 1000).probe('nginx', OK, 1100).probe('nginx', REFUSED, 20_000),
    1,
    0,
    'unready',
  ],
  [
    'was given up',
    (t) => t.see('nginx', seen({ wantUp: false }, { deaths: exits(9), givenUp: '' }), 1000),
    0,
    0,
    'failed',
  ],
  ['was stopped', (t) => t.see('nginx', seen({ wantUp: false }), 1000), 0, 0, 'down'],
] as readonly (readonly [string, (teller: ReturnType<typeof story>) => unknown, number, number, string])[]) {
  test(`a service that ${what} has up ${up}, ready ${ready} and the state ${state}`, () => {
    const teller = story(PLAN.services)
    tell(teller)
    const text = renderMetrics(busyView(PLAN, { machine: teller.machine }), collectedFixture(PLAN))
    assert.ok(text.includes(`machine_service_up{service="nginx"} ${up}\n`))
    assert.ok(text.includes(`machine_service_ready{service="nginx"} ${ready}\n`))
    const states = linesOf(text, 'machine_service_state').filter((line) => line.includes('"nginx"'))
    assert.is(states.length, 8)
    assert.equal(
      states.filter((line) => line.endsWith(' 1')),
      [`machine_service_state{service="nginx",state="${state}"} 1`],
    )
  })
}

test('exits are counted by reason, and every reason has a series', () => {
  const text = renderMetrics(busyView(PLAN), collectedFixture(PLAN))
  const lines = linesOf(text, 'machine_service_exits_total').filter((line) => line.includes('"comfyui-gpu0"'))
  assert.is(lines.length, EXIT_REASONS.length)
  assert.equal(
    lines.filter((line) => !line.endsWith(' 0')),
    ['machine_service_exits_total{service="comfyui-gpu0",gpu="0",reason="error"} 1'],
  )
})

test('a service that somebody has stopped is not wanted', () => {
  const teller = story(PLAN.services)
  teller.see('nginx', running(7, 1000), 1000).see('nginx', seen({ wantUp: false }, { deaths: exits(1) }), 1500)
  const text = renderMetrics(busyView(PLAN, { machine: teller.machine }), collectedFixture(PLAN))
  assert.ok(text.includes('machine_service_wanted{service="nginx"} 0\n'))
  assert.ok(text.includes('machine_service_wanted{service="sidecar"} 1\n'))
})

test('a GPU has only the series of what could be read of it', () => {
  const gpus = [
    gpuReading(0),
    gpuReading(1, { temperatureCelsius: null, eccUncorrected: null, utilization: 0 }),
    gpuReading(7),
  ]
  const resources = resourcesFixture(PLAN, { gpus, missingGpus: [1], gpuProblem: 'nvidia-smi hangs' })
  const text = renderMetrics(busyView(PLAN, { resources: () => resources }), collectedFixture(PLAN))
  assert.equal(linesOf(text, 'machine_gpu_temperature_celsius'), ['machine_gpu_temperature_celsius{gpu="0"} 61'])
  assert.equal(linesOf(text, 'machine_gpu_utilization_ratio'), [
    'machine_gpu_utilization_ratio{gpu="0"} 0.5',
    'machine_gpu_utilization_ratio{gpu="1"} 0',
  ])
  assert.equal(linesOf(text, 'machine_gpu_missing'), [
    'machine_gpu_missing{gpu="0"} 0',
    'machine_gpu_missing{gpu="1"} 1',
  ])
  assert.equal(linesOf(text, 'machine_gpus_readable'), ['machine_gpus_readable 0'])
  assert.equal(linesOf(text, 'machine_gpu_ecc_uncorrected_errors_total').length, 1)
})

test('only disks of the plan have series', () => {
  const disk = { totalBytes: 10, freeBytes: 5, freeInodes: null }
  const disks = [
    { ...disk, path: PLAN.paths.workspace },
    { ...disk, path: '/mnt/of-a-stranger' },
  ]
  const resources = resourcesFixture(PLAN, { disks })
  const text = renderMetrics(busyView(PLAN, { resources: () => resources }), collectedFixture(PLAN))
  assert.equal(linesOf(text, 'machine_disk_free_bytes'), ['machine_disk_free_bytes{path="/machine/workspace"} 5'])
  assert.equal(linesOf(text, 'machine_disk_free_inodes'), [])
})

test('services tell what they are busy with, each what its type knows', () => {
  const text = renderMetrics(busyView(PLAN), collectedFixture(PLAN))
  assert.ok(text.includes('machine_queue_pending{service="comfyui-gpu0",gpu="0"} 4\n'))
  assert.ok(text.includes('machine_prompts_done_total{service="comfyui-gpu1",gpu="1"} 17\n'))
  assert.equal(linesOf(text, 'machine_models_loaded'), ['machine_models_loaded{service="ollama"} 1'])
  assert.equal(linesOf(text, 'machine_jobs_processed_total').length, 2)
  assert.equal(linesOf(text, 'machine_worker_busy')[0], 'machine_worker_busy{service="redis-worker-gpu0",gpu="0"} 1')
})

test('models are counted and never named', () => {
  const modelsLoaded = ['hostile"} 1\nmachine_fake 1']
  const text = renderMetrics(
    busyView(PLAN, { workload: () => ({ ...NOTHING_KNOWN, modelsLoaded }) }),
    collectedFixture(PLAN),
  )
  assert.not.match(text, /fake|hostile/)
})

test('the boot is dated, and timed once it was ready', () => {
  const text = renderMetrics(busyView(PLAN), collectedFixture(PLAN))
  assert.ok(text.includes('machine_boot_time_seconds 2\n'))
  assert.ok(text.includes('machine_boot_ready_seconds 10.5\n'))
})

test.run()
