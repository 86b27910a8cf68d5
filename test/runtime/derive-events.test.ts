import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { EventDraft } from '../../runtime/shared/machine-event.ts'
import { DIGEST_INTERVAL_MS } from '../../runtime/sidecar/events/derive-events.ts'
import type { ResourceSnapshot } from '../../runtime/sidecar/resources/resource-snapshot.ts'
import { knownWorkload } from '../../runtime/sidecar/workload/workload.ts'
import { eventFlaw } from './event-schema.ts'
import { brief, eventStory } from './event-story.ts'
import { plannedService } from './local-tree.ts'
import { died, exits, OK, REFUSED, running, seen } from './machine-records.ts'

const app = plannedService({ name: 'app' })
const task = plannedService({ name: 'models', type: 'provision', kind: 'task', probe: { kind: 'task' } })
const worker = plannedService({ name: 'worker', gpu: 0, workerId: 'm-worker-0', waitsFor: ['models'] })

type Story = ReturnType<typeof eventStory>

/** The story up to a ready app, and what is said of the rest. */
function afterReady(steps: (it: Story['machine']) => unknown, nowMs = 1000): string[] {
  const it = eventStory([app])
  it.machine.see('app', running(5, 0), 10).probe('app', OK, 20)
  it.say(30)
  steps(it.machine)
  return it.say(nowMs).map(brief)
}

test('a machine begins: it is announced before anything is known of it', () => {
  const it = eventStory([app, worker])
  assert.equal(it.say(0).map(brief), ['machine.started starting', 'worker.state m-worker-0 announcing'])
  assert.equal(it.say(1).map(brief), [], 'once')
  it.machine.see('app', running(5, 0), 10)
  assert.equal(it.say(11).map(brief), ['service.started app starting'])
})

test('a service comes up, and with the last one the machine', () => {
  const it = eventStory([app])
  it.machine.see('app', running(5, 0), 10).probe('app', OK, 20)
  assert.equal(it.say(30).map(brief), [
    'machine.started starting',
    'service.started app ready',
    'service.ready app ready',
    'machine.ready ready',
    'health.changed healthy',
  ])
  assert.equal(it.events[1]!.context, { restarts: 0, deaths: 0, run: '5@0', pid: 5, port: null })
})

const TABLE: { title: string; steps: (it: Story['machine']) => unknown; events: string[] }[] = [
  { title: 'nothing', steps: () => {}, events: [] },
  {
    title: 'it refuses connections',
    steps: (it) => it.probe('app', REFUSED, 600),
    events: ['service.unready app unready', 'machine.degraded degraded', 'health.changed unhealthy'],
  },
  {
    title: 'it dies',
    steps: (it) => it.see('app', seen({}, { deaths: exits(1, 500) }), 510),
    events: ['service.failed app waiting', 'machine.degraded degraded', 'health.changed unhealthy'],
  },
  {
    title: 'it dies and is back before anybody looks',
    steps: (it) => it.see('app', running(6, 510, { deaths: exits(1, 500) }), 520),
    events: [
      'service.failed app starting',
      'service.restarted app starting',
      'machine.degraded degraded',
      'health.changed unhealthy',
    ],
  },
  {
    title: 'it dies, is back and ready before anybody looks',
    steps: (it) => it.see('app', running(6, 510, { deaths: exits(1, 500) }), 520).probe('app', OK, 600),
    events: ['service.failed app ready', 'service.restarted app ready', 'service.ready app ready'],
  },
  {
    title: 'it dies twice between two looks',
    steps: (it) => it.see('app', running(7, 530, { deaths: exits(2, 500) }), 540),
    events: [
      'service.failed app starting',
      'service.failed app starting',
      'service.restarted app starting',
      'machine.degraded degraded',
      'health.changed unhealthy',
    ],
  },
  {
    title: 'an operator restarts it',
    steps: (it) =>
      it
        .order('app', 400, false, 'operator')
        .see('app', running(6, 510, { deaths: [died(500, { kind: 'signal', signal: 15 })] }), 520),
    events: [
      'service.stopped app starting',
      'service.restarted app starting',
      'machine.degraded degraded',
      'health.changed unhealthy',
    ],
  },
  {
    title: 'an operator stops it: the machine is as healthy as it was asked to be',
    steps: (it) => it.see('app', seen({ pid: 5, up: true, wantUp: false }), 500),
    events: ['service.unready app stopping'],
  },
  {
    title: 'it is given up',
    steps: (it) => it.see('app', seen({ wantUp: false }, { deaths: exits(3, 500), givenUp: 'it died 3 times' }), 600),
    events: [
      'service.failed app failed',
      'service.failed app failed',
      'service.failed app failed',
      'service.gave-up app failed',
      'machine.degraded degraded',
      'health.changed unhealthy',
    ],
  },
  {
    title: 'the machine is told to stop, and then it ends',
    steps: (it) =>
      it.farewell().see('app', seen({ wantUp: false }, { deaths: [died(500, { kind: 'signal', signal: 15 })] }), 520),
    events: ['machine.stopping stopping', 'service.stopped app down'],
  },
]

for (const { title, steps, events } of TABLE) {
  test(`a ready service: ${title}`, () => assert.equal(afterReady(steps), events))
}

test('a failure says how, when and for the how manieth time', () => {
  const it = eventStory([app])
  it.machine.see('app', running(5, 0), 10)
  it.say(20)
  it.machine.see('app', seen({}, { deaths: [died(500.25, { kind: 'signal', signal: 9 })] }), 510)
  const [failed] = it.say(520)
  assert.is(failed?.at, '1970-01-01T00:00:00.500Z')
  assert.equal(failed?.error, { code: 'signal', message: '"app" ended: signal SIGKILL' })
  assert.is(failed?.context?.deaths, 1)
})

test('a service that an operator stopped is started, not restarted, when it comes back', () => {
  const it = eventStory([app])
  it.machine.see('app', running(5, 0), 10).probe('app', OK, 20)
  it.say(30)
  const deaths = [died(500, { kind: 'signal', signal: 15 } as const)]
  it.machine.see('app', seen({ wantUp: false }, { deaths }), 510)
  assert.equal(it.say(520).map(brief), ['service.stopped app down'])
  it.machine.see('app', running(6, 600, { deaths }), 610)
  assert.ok(it.say(620).map(brief).includes('service.started app starting'))
})

test('a task that has succeeded is done: it neither failed nor stopped', () => {
  const it = eventStory([task])
  it.machine.see('models', running(5, 0), 10)
  assert.equal(it.say(20).map(brief), ['machine.started starting', 'service.started models starting'])
  const ended = seen({ wantUp: false }, { gateOpenedAtMs: 30, deaths: [died(30, { kind: 'exit', code: 0 })] })
  it.machine.see('models', ended, 40)
  assert.equal(it.say(50).map(brief), ['service.ready models done', 'machine.ready ready', 'health.changed healthy'])
  assert.equal(it.say(60).map(brief), [])
})

const progress = (bytes: number): EventDraft => ({
  type: 'provision.progress',
  service: 'models',
  status: 'downloading',
  progress: { item: 'a.safetensors', bytes, totalBytes: 100, etaSeconds: 9 },
})

test('a worker is followed from its announcement over downloads to its jobs and its end', () => {
  const it = eventStory([task, worker])
  const states = (nowMs: number, job: string | null = null) =>
    it
      .say(nowMs, { workload: () => knownWorkload({ atMs: 0, currentJob: job }) })
      .filter(({ type }) => type === 'worker.state')
      .map(({ status, progress: far }) => (far === undefined ? status : `${status} ${far.bytes}`))
  assert.equal(states(0), ['announcing'])
  it.machine.see('worker', running(6, 0, { waiting: 'waits for models' }), 10).see('models', running(5, 0), 10)
  assert.equal(states(11), ['configuring'])
  it.add(progress(10), 20)
  assert.equal(states(20), ['downloading'])
  it.add(progress(20), 1000)
  assert.equal(states(1000), [], 'not each time')
  it.add(progress(60), 6000)
  assert.equal(states(6000), ['downloading 60'])
  it.machine.see('models', seen({ wantUp: false }, { gateOpenedAtMs: 7000 }), 7000)
  assert.equal(states(7000), ['starting'])
  it.machine.see('worker', running(6, 0), 7100).probe('worker', OK, 7200)
  assert.equal(states(7200), ['ready'])
  assert.equal(states(7300, 'job-1'), ['busy'])
  assert.equal(states(7400), ['ready'])
  it.machine.probe('worker', REFUSED, 9000)
  assert.equal(states(9000), ['error'])
  it.machine.farewell().see('worker', seen({ wantUp: false }), 9100)
  assert.equal(states(9100), ['stopped'])
})

test('a worker whose task or service was given up is in error, and says which', () => {
  const it = eventStory([task, worker])
  it.machine
    .see('worker', running(6, 0, { waiting: 'waits for models' }), 10)
    .see('models', seen({ wantUp: false }, { deaths: exits(3), givenUp: 'no room on the disk' }), 10)
  const last = it.say(20).findLast(({ type }) => type === 'worker.state')
  assert.equal([last?.status, last?.error?.message], ['error', 'waits for "models", which was given up'])
})

test('an optional service that is on its way or failed decides not whether the machine is healthy', () => {
  const it = eventStory([app, { ...task, optional: true }])
  it.machine.see('app', running(5, 0), 10).probe('app', OK, 20).see('models', running(6, 0), 20)
  const said = it.say(30).map(brief)
  assert.ok(said.includes('machine.ready ready') && said.includes('health.changed healthy'), said.join())
  it.machine.see('models', seen({ wantUp: false }, { deaths: exits(3, 40), givenUp: 'no' }), 50)
  const later = it.say(60).map(brief)
  assert.ok(later.includes('machine.degraded degraded') && !later.includes('health.changed unhealthy'), later.join())
})

const GiB = 2 ** 30
const RESOURCES: ResourceSnapshot = {
  atMs: 0,
  gpus: [],
  gpuProblem: null,
  missingGpus: [],
  cpu: { cores: 1, usedCores: null, throttledSeconds: null },
  memory: { totalBytes: 1, usedBytes: 0, oomKills: 0 },
  disks: [{ path: '/w', totalBytes: 100 * GiB, freeBytes: 50 * GiB, freeInodes: 1e6 }],
}

test('alarms are raised once, and cleared when they are clearly over', () => {
  const it = eventStory([])
  const disk = (freeGiB: number) => ({ ...RESOURCES, disks: [{ ...RESOURCES.disks[0]!, freeBytes: freeGiB * GiB }] })
  const alarms = (resources: ResourceSnapshot) =>
    it
      .say(1, { resources })
      .filter(({ type }) => type === 'machine.alarm')
      .map(({ status, context }) => `${status} ${context?.alarm}`)
  assert.equal(alarms(RESOURCES), [])
  assert.equal(alarms(disk(1.5)), ['raised disk-full:/w'])
  assert.equal(alarms(disk(1.4)), [])
  assert.equal(alarms(disk(3)), [], 'neither here nor there')
  assert.equal(alarms(disk(5)), ['cleared disk-full:/w'])
  const small = { ...RESOURCES, disks: [{ path: '/s', totalBytes: GiB / 2, freeBytes: GiB / 4, freeInodes: null }] }
  assert.equal(alarms(small), [], 'a small disk is not full for being small')
  assert.equal(alarms({ ...RESOURCES, gpuProblem: 'it hangs' }), ['raised gpus-unreadable'])
  assert.equal(alarms({ ...RESOURCES, memory: { ...RESOURCES.memory, oomKills: 2 } }), [
    'cleared gpus-unreadable',
    'raised out-of-memory',
  ])
  assert.equal(alarms({ ...RESOURCES, memory: { ...RESOURCES.memory, oomKills: 2 } }), [])
  assert.equal(alarms({ ...RESOURCES, memory: { ...RESOURCES.memory, oomKills: 3 } }), ['raised out-of-memory'])
})

test('a digest comes every minute, and tells the next sidecar all that was told', () => {
  const it = eventStory([app, worker, task])
  it.machine.see('app', running(5, 0), 10).probe('app', OK, 20).see('worker', running(6, 0), 20)
  it.say(30)
  assert.equal(it.say(DIGEST_INTERVAL_MS - 1), [])
  const [digest] = it.say(DIGEST_INTERVAL_MS + 30)
  assert.is(brief(digest!), 'health.digest unhealthy')
  const whole = it.told()
  it.events.splice(0, it.events.length - 1)
  it.forget()
  assert.equal(it.told().services, whole.services)
  assert.equal([...it.told().workers.keys()], [...whole.workers.keys()])
  assert.equal(it.say(DIGEST_INTERVAL_MS + 40), [], 'there is nothing to say')
})

/** One thing that happens to a service; most combinations are strange, and none may confuse. */
const HAPPENINGS: readonly ((it: Story['machine'], nowMs: number) => unknown)[] = [
  (it, nowMs) => it.see('app', running(nowMs, nowMs), nowMs),
  (it, nowMs) => it.see('app', running(nowMs, nowMs, { waiting: 'waits for models' }), nowMs),
  (it, nowMs) => it.see('app', running(nowMs, nowMs, { deaths: exits(1, nowMs) }), nowMs),
  (it, nowMs) => it.see('app', seen({}, { deaths: exits(2, nowMs) }), nowMs),
  (it, nowMs) => it.see('app', seen({ wantUp: false }), nowMs),
  (it, nowMs) => it.see('app', seen({ pid: 3, up: true, wantUp: false }), nowMs),
  (it, nowMs) => it.see('app', seen({ wantUp: false }, { givenUp: 'no', deaths: exits(3, nowMs) }), nowMs),
  (it, nowMs) => it.see('app', { ...seen({}), supervised: false }, nowMs),
  (it, nowMs) => it.probe('app', OK, nowMs),
  (it, nowMs) => it.probe('app', REFUSED, nowMs),
  (it, nowMs) => it.order('app', nowMs),
  (it, nowMs) => it.see('models', running(nowMs, nowMs), nowMs),
  (it, nowMs) => it.see('models', seen({ wantUp: false }, { gateOpenedAtMs: nowMs }), nowMs),
  (it) => it.farewell(),
]

test('whatever happens is told once, in order, by the schema, over deaths of the sidecar', () => {
  const happening = fc.record({ what: fc.nat(HAPPENINGS.length - 1), dies: fc.boolean(), says: fc.boolean() })
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 25 }), (happenings) => {
      const it = eventStory([{ ...app, workerId: 'm-worker-0', waitsFor: ['models'] }, task])
      for (const [index, { what, dies, says }] of happenings.entries()) {
        const nowMs = (index + 1) * 1000
        HAPPENINGS[what]!(it.machine, nowMs)
        if (!says) continue
        it.say(nowMs)
        if (dies) it.forget()
        const again = it.say(nowMs).filter(({ progress: far }) => far === undefined)
        assert.equal(again.map(brief), [], 'said twice')
      }
      const ofApp = it.events.filter(({ service, type }) => service === 'app' && type.startsWith('service.'))
      let isUp = false
      for (const event of ofApp) {
        assert.is(eventFlaw(event), null, JSON.stringify(event))
        const starts = event.type === 'service.started' || event.type === 'service.restarted'
        if (starts) assert.not(isUp, 'it was up already')
        if (starts) isUp = true
        if (event.type === 'service.failed' || event.type === 'service.stopped') isUp = false
      }
    }),
    { numRuns: 500 },
  )
})

test.run()
