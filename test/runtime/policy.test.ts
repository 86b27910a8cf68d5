import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decide } from '../../runtime/sidecar/policy.ts'
import { plannedService } from './local-tree.ts'
import { OK, REFUSED, running, SLOW, seen, story } from './machine-records.ts'

const app = plannedService({ name: 'app', startupTimeoutMs: 5000, stop: { signal: 'SIGTERM', timeoutMs: 3000 } })
const task = plannedService({ name: 'app', kind: 'task', startupTimeoutMs: 5000, probe: { kind: 'task' } })
const sidecar = plannedService({ name: 'app', type: 'sidecar', startupTimeoutMs: 5000 })
const db = plannedService({ name: 'db' })
const follower = plannedService({ name: 'app', waitsFor: ['db'], onDependencyRestart: 'restart' })
const keeper = plannedService({ name: 'app', waitsFor: ['db'], onDependencyRestart: 'keep' })

type Teller = ReturnType<typeof story>

/** `db` was ready as pid 4 when `app` was launched beside it and became ready. */
const together = (it: Teller) =>
  it
    .see('db', running(4, 0), 1)
    .probe('db', OK, 2)
    .see('app', running(5, 0, { waiting: 'waits for db' }), 3)
    .see('app', running(5, 0), 4)
    .probe('app', OK, 5)

const dbAgain = (it: Teller) => together(it).see('db', seen({}), 100).see('db', running(6, 120), 130)

const TABLE: {
  title: string
  services?: (typeof app)[]
  steps: (it: Teller) => unknown
  atMs: number
  actions: string[]
}[] = [
  {
    title: 'nothing for one that still may start',
    steps: (it) => it.see('app', running(5, 0), 10),
    atMs: 4999,
    actions: [],
  },
  {
    title: 'restarts one that is not ready in time',
    steps: (it) => it.see('app', running(5, 0), 10).probe('app', REFUSED, 4000),
    atMs: 5000,
    actions: ['restart app: not ready within 5 s: nothing listens'],
  },
  {
    title: 'waiting does not count as starting',
    steps: (it) => it.see('app', running(5, 0, { waiting: 'waits for db' }), 10),
    atMs: 60_000,
    actions: [],
  },
  {
    title: 'nothing after one failed probe',
    steps: (it) => it.see('app', running(5, 0), 10).probe('app', OK, 20).probe('app', REFUSED, 600),
    atMs: 700,
    actions: [],
  },
  {
    title: 'restarts one that failed too many probes',
    steps: (it) => it.see('app', running(5, 0), 1).probe('app', OK, 2).probe('app', SLOW, 600).probe('app', SLOW, 1200),
    atMs: 1200,
    actions: ['restart app: 2 probes in a row failed, the last one: no answer'],
  },
  {
    title: 'orders once',
    steps: (it) => it.see('app', running(5, 0), 10).order('app', 5010),
    atMs: 5100,
    actions: [],
  },
  {
    title: 'kills what does not heed the order',
    steps: (it) => it.see('app', running(5, 0), 10).order('app', 5010),
    atMs: 8010,
    actions: ['kill app: SIGTERM did not end it within 3 s'],
  },
  {
    title: 'kills once',
    steps: (it) => it.see('app', running(5, 0), 10).order('app', 5010, true),
    atMs: 20_000,
    actions: [],
  },
  {
    title: 'an order does not hold for the next run',
    steps: (it) => it.see('app', running(5, 0), 10).order('app', 5010).see('app', running(6, 5200), 5300),
    atMs: 9000,
    actions: [],
  },
  {
    title: 'leaves alone what an operator stops',
    steps: (it) => it.see('app', running(5, 0), 10).see('app', seen({ pid: 5, up: true, wantUp: false }), 20),
    atMs: 60_000,
    actions: [],
  },
  {
    title: 'leaves alone what is down',
    steps: (it) => it.see('app', seen({ wantUp: false }), 10),
    atMs: 60_000,
    actions: [],
  },
  {
    title: 'leaves tasks alone',
    services: [task],
    steps: (it) => it.see('app', running(5, 0), 10),
    atMs: 60_000,
    actions: [],
  },
  {
    title: 'leaves itself alone',
    services: [sidecar],
    steps: (it) => it.see('app', running(5, 0), 10),
    atMs: 60_000,
    actions: [],
  },
  {
    title: 'does nothing during a farewell',
    steps: (it) => it.see('app', running(5, 0), 10).farewell(),
    atMs: 60_000,
    actions: [],
  },
  { title: 'nothing while all runs on', services: [db, follower], steps: together, atMs: 90, actions: [] },
  {
    title: 'waits until the dependency is ready again',
    services: [db, follower],
    steps: dbAgain,
    atMs: 140,
    actions: [],
  },
  {
    title: 'restarts a follower once its dependency is ready again',
    services: [db, follower],
    steps: (it) => dbAgain(it).probe('db', OK, 150),
    atMs: 150,
    actions: ['restart app: "db" was restarted'],
  },
  {
    title: 'keeps one that asked to be kept',
    services: [db, keeper],
    steps: (it) => dbAgain(it).probe('db', OK, 150),
    atMs: 150,
    actions: [],
  },
  {
    title: 'nothing for a follower that was launched beside the new run',
    services: [db, follower],
    steps: (it) => dbAgain(it).probe('db', OK, 150).see('app', running(9, 160), 170).see('app', running(9, 160), 180),
    atMs: 190,
    actions: [],
  },
  {
    title: 'a sidecar that starts in the middle sees nothing new in a follower that waited longer than its dependency',
    services: [db, follower],
    steps: (it) =>
      it
        .see('db', running(4, 500, { gateOpenedAtMs: 900 }), 9000)
        .see('app', running(5, 400, { gateOpenedAtMs: 1500 }), 9000),
    atMs: 9001,
    actions: [],
  },
  {
    title: 'a sidecar that starts in the middle sees a dependency that was restarted while it was away',
    services: [db, follower],
    steps: (it) =>
      it
        .see('db', running(8, 5000, { gateOpenedAtMs: 6000 }), 9000)
        .see('app', running(5, 400, { gateOpenedAtMs: 1500 }), 9000),
    atMs: 9001,
    actions: ['restart app: "db" was restarted'],
  },
]

for (const { title, services = [app], steps, atMs, actions } of TABLE) {
  test(`policy: ${title}`, () => {
    const teller = story(services)
    steps(teller)
    const decided = decide(teller.machine(), atMs).map(({ kind, service, reason }) => `${kind} ${service}: ${reason}`)
    assert.equal(decided, actions)
  })
}

test.run()
