import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { StateName } from '../../runtime/shared/service-state.ts'
import { countRestarts, isHealthy } from '../../runtime/sidecar/machine-state.ts'
import { plannedService } from './local-tree.ts'
import { exits, OK, REFUSED, running, SLOW, seen, story } from './machine-records.ts'

const app = plannedService({ name: 'app' })
const task = plannedService({ name: 'app', kind: 'task', probe: { kind: 'task' } })

type Step = (teller: ReturnType<typeof story>) => unknown

const TABLE: { title: string; service?: typeof app; steps: Step; state: StateName; reason?: string }[] = [
  { title: 'nothing was seen', steps: () => {}, state: 'down' },
  { title: 'no supervisor', steps: (it) => it.see('app', { ...running(5, 0), supervised: false }, 10), state: 'down' },
  { title: 'it runs', steps: (it) => it.see('app', running(5, 0), 10), state: 'starting' },
  {
    title: 'its run waits',
    steps: (it) => it.see('app', running(5, 0, { waiting: 'waits for db' }), 10),
    state: 'waiting',
    reason: 'waits for db',
  },
  { title: 'its probe succeeds', steps: (it) => it.see('app', running(5, 0), 10).probe('app', OK, 20), state: 'ready' },
  {
    title: 'it was ready and refuses connections',
    steps: (it) => it.see('app', running(5, 0), 10).probe('app', OK, 20).probe('app', REFUSED, 600),
    state: 'unready',
    reason: 'nothing listens',
  },
  {
    title: 'it was ready and is slow once',
    steps: (it) => it.see('app', running(5, 0), 10).probe('app', OK, 20).probe('app', SLOW, 600),
    state: 'ready',
  },
  {
    title: 'it is slow as often as it may not be',
    steps: (it) =>
      it.see('app', running(5, 0), 10).probe('app', OK, 20).probe('app', SLOW, 600).probe('app', SLOW, 1200),
    state: 'unready',
  },
  {
    title: 'it answers once after it refused',
    steps: (it) => it.see('app', running(5, 0), 1).probe('app', OK, 2).probe('app', REFUSED, 9).probe('app', OK, 12),
    state: 'unready',
    reason: 'nothing listens',
  },
  {
    title: 'it recovers',
    steps: (it) =>
      it
        .see('app', running(5, 0), 1)
        .probe('app', OK, 2)
        .probe('app', REFUSED, 9)
        .probe('app', OK, 12)
        .probe('app', OK, 15),
    state: 'ready',
  },
  {
    title: 'a new run of it is not ready yet',
    steps: (it) => it.see('app', running(5, 0), 10).probe('app', OK, 20).see('app', running(6, 50), 60),
    state: 'starting',
  },
  {
    title: 'its finish runs',
    steps: (it) => it.see('app', seen({ pid: 9, finishing: true }), 10),
    state: 'waiting',
    reason: 'its last run is cleaned up',
  },
  {
    title: 'it died and comes again',
    steps: (it) => it.see('app', seen({}, { deaths: exits(1) }), 10),
    state: 'waiting',
    reason: 's6 starts it again after exit code 1',
  },
  {
    title: 'its death is noted, and its status not yet',
    steps: (it) =>
      it
        .see('app', running(5, 0), 10)
        .probe('app', OK, 20)
        .see('app', running(5, 0, { deaths: exits(1, 300) }), 301),
    state: 'waiting',
    reason: 's6 starts it again after exit code 1',
  },
  {
    title: 'its clock was set back after a death',
    steps: (it) => it.see('app', running(5, 0, { deaths: exits(1, 9000) }), 10).probe('app', OK, 20),
    state: 'ready',
  },
  {
    title: 'an operator stops it',
    steps: (it) => it.see('app', seen({ pid: 5, up: true, wantUp: false }), 10),
    state: 'stopping',
  },
  {
    title: 'an operator stopped it',
    steps: (it) => it.see('app', seen({ wantUp: false }, { deaths: exits(2) }), 10),
    state: 'down',
  },
  {
    title: 'it was given up',
    steps: (it) => it.see('app', seen({ wantUp: false }, { deaths: exits(3), givenUp: '' }), 10),
    state: 'failed',
    reason: 'it died 3 times within 60 s, the last time by exit code 1',
  },
  {
    title: 'three deaths far apart are no reason to give up',
    steps: (it) => it.see('app', seen({ wantUp: false }, { deaths: [...exits(2), ...exits(1, 70_000)] }), 10),
    state: 'down',
  },
  { title: 'a task runs', service: task, steps: (it) => it.see('app', running(5, 0), 10), state: 'starting' },
  {
    title: 'a task has succeeded',
    service: task,
    steps: (it) => it.see('app', seen({ wantUp: false }, { gateOpenedAtMs: 5, deaths: exits(1) }), 10),
    state: 'done',
  },
]

for (const { title, service = app, steps, state, reason } of TABLE) {
  test(`state: ${title}`, () => {
    const teller = story([service])
    steps(teller)
    assert.is(teller.record('app').state, state)
    if (reason !== undefined) assert.is(teller.record('app').reason, reason)
  })
}

test('a service that was told to stay down is not ready any more, although it still works', () => {
  const it = story([app]).see('app', running(5, 0), 10).probe('app', OK, 20)
  assert.ok(it.record('app').ready)
  it.see('app', seen({ pid: 5, up: true, wantUp: false }), 30)
  assert.not(it.record('app').ready)
})

test('a probe that was sent to a run that has ended changes nothing', () => {
  const it = story([app]).see('app', running(5, 0), 10)
  const stale = it.record('app').incarnation
  it.see('app', running(6, 50), 60).see('app', running(6, 50), 61)
  assert.is.not(it.record('app').incarnation, stale)
  assert.not(it.record('app').ready)
})

test('readiness counts from the moment when the waiting ended', () => {
  const it = story([app]).see('app', running(5, 0, { waiting: 'waits for db' }), 10)
  it.see('app', running(5, 0), 1010).probe('app', OK, 1310)
  assert.is(it.record('app').startupMs, 300)
})

test('readiness counts from the start of a process that waited for nothing, however late it is seen', () => {
  const it = story([app]).see('app', running(5, 1000), 1800).probe('app', OK, 2000)
  assert.is(it.record('app').startupMs, 1000)
  const late = story([app]).see('app', running(5, 1000), 90_000).probe('app', OK, 90_100)
  assert.is(late.record('app').startupMs, 100, 'of a long running one nobody knows when it was ready')
})

test('a run that has not said yet that it waits is waiting, not starting', () => {
  const services = [plannedService({ name: 'db' }), plannedService({ name: 'app', waitsFor: ['db'] })]
  const it = story(services).see('db', running(4, 0), 10).see('app', running(5, 0), 10)
  assert.is(it.record('app').state, 'waiting')
  assert.is(it.record('app').reason, 'waits for db')
  assert.is(it.record('app').launchedAtMs, null)
})

test('a sidecar that starts in the middle takes an open gate for what its predecessor saw', () => {
  const it = story([app]).see('app', running(5, 1000, { gateOpenedAtMs: 3000 }), 9000)
  assert.is(it.record('app').state, 'ready')
  const stale = story([app]).see('app', running(5, 4000, { gateOpenedAtMs: 3000 }), 9000)
  assert.is(stale.record('app').state, 'starting', 'the gate is older than the process')
})

test('failures are counted once an interval, however often an unready service is probed', () => {
  const it = story([app]).see('app', running(5, 0), 10).probe('app', OK, 20)
  for (const atMs of [600, 700, 800, 900]) it.probe('app', REFUSED, atMs)
  assert.is(it.record('app').failures, 1)
  it.probe('app', REFUSED, 1100)
  assert.is(it.record('app').failures, 2)
})

test('restarts are the deaths that were followed by a start', () => {
  const it = story([app]).see('app', running(5, 0), 10)
  assert.is(countRestarts(it.record('app')), 0)
  it.see('app', seen({}, { deaths: exits(1, 50) }), 60)
  assert.is(countRestarts(it.record('app')), 0, 'it is not back yet')
  it.see('app', running(6, 90, { deaths: exits(1, 50) }), 100)
  assert.is(countRestarts(it.record('app')), 1)
  it.see('app', running(6, 90, { deaths: [] }), 110)
  assert.is(countRestarts(it.record('app')), 1, 'a cleared tally forgets nothing')
})

test('the machine is healthy when all is ready or done, and never during a farewell', () => {
  const it = story([app, plannedService({ name: 'job', kind: 'task' })])
  it.see('app', running(5, 0), 10).probe('app', OK, 20)
  assert.not(isHealthy(it.machine()))
  it.see('job', seen({ wantUp: false }, { gateOpenedAtMs: 5 }), 30)
  assert.ok(isHealthy(it.machine()))
  assert.not(isHealthy(it.farewell().machine()))
})

test('a death that is noted before its status is one restart less than it is when the next run is there', () => {
  const it = story([app]).see('app', running(5, 0), 10)
  assert.is(countRestarts(it.see('app', running(5, 0, { deaths: exits(1, 300) }), 301).record('app')), 0)
  assert.is(countRestarts(it.see('app', seen({ changedAtMs: 301 }, { deaths: exits(1, 300) }), 302).record('app')), 0)
  assert.is(countRestarts(it.see('app', running(6, 1301, { deaths: exits(1, 300) }), 1302).record('app')), 1)
})

test.run()
