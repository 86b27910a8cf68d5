import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decide } from '../../runtime/sidecar/policy.ts'
import { plannedService } from './local-tree.ts'
import { died, OK, REFUSED, running, SLOW, seen, story } from './machine-records.ts'

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

const BUDGET = { maxAttempts: 3, windowMs: 60_000, backoff: { initialMs: 0, maxMs: 0, factor: 1 } }
const web = plannedService({ name: 'app', startupTimeoutMs: 5000, restart: BUDGET })
const tireless = plannedService({ name: 'app', startupTimeoutMs: 5000, restart: null })

/** `count` runs, each restarted by the sidecar since it was not ready in time; the next one runs from `count * 6000`. */
const futile = (it: Teller, count: number, everyMs = 6000) => {
  const deaths = []
  for (let run = 0; run < count; run += 1) {
    const at = run * everyMs
    it.see('app', running(100 + run, at, { deaths: [...deaths] }), at + 1)
    it.order('app', at + 5000, false, 'startup')
    deaths.push(died(at + 5001, { kind: 'signal', signal: 15 }))
    it.see('app', seen({}, { deaths: [...deaths] }), at + 5002)
  }
  return it.see('app', running(100 + count, count * everyMs, { deaths }), count * everyMs + 1)
}

/** As many crashes before the run that goes on from 10,000. */
const crashed = (it: Teller, count: number) => {
  const deaths = Array.from({ length: count }, (_, index) => died(index * 1000, { kind: 'exit', code: 1 }))
  return it.see('app', running(7, 10_000, { deaths }), 10_010).probe('app', OK, 10_020)
}

const sick = (it: Teller) => it.probe('app', REFUSED, 20_000).probe('app', REFUSED, 21_000)

TABLE.push(
  {
    title: 'the second futile start is tried again',
    services: [web],
    steps: (it) => futile(it, 1),
    atMs: 11_001,
    actions: ['restart app: not ready within 5 s'],
  },
  {
    title: 'gives up after as many futile starts as the budget has',
    services: [web],
    steps: (it) => futile(it, 2),
    atMs: 17_001,
    actions: ['give-up app: it did not become ready in 3 starts: not ready within 5 s'],
  },
  {
    title: 'futile starts are counted in a row, also where each takes longer than the window',
    services: [web],
    steps: (it) => futile(it, 2, 100_000),
    atMs: 205_001,
    actions: ['give-up app: it did not become ready in 3 starts: not ready within 5 s'],
  },
  {
    title: 'never gives up one without a budget',
    services: [tireless],
    steps: (it) => futile(it, 9),
    atMs: 60_000,
    actions: ['restart app: not ready within 5 s'],
  },
  {
    title: 'a start that succeeded ends the row',
    services: [web],
    steps: (it) =>
      futile(it, 2, 100_000).probe('app', OK, 201_000).probe('app', REFUSED, 300_000).probe('app', REFUSED, 301_000),
    atMs: 301_000,
    actions: ['restart app: 2 probes in a row failed, the last one: nothing listens'],
  },
  {
    title: 'a start by a person ends the row',
    services: [web],
    steps: (it) =>
      futile(it, 2)
        .see('app', seen({ wantUp: false }, { givenUp: 'why' }), 12_500)
        .see('app', running(9, 13_000), 13_001),
    atMs: 18_001,
    actions: ['restart app: not ready within 5 s'],
  },
  {
    title: 'deaths use the same budget as restarts that it orders',
    services: [web],
    steps: (it) => sick(crashed(it, 2)),
    atMs: 21_000,
    actions: [
      'give-up app: it failed 3 times within 60 s, the last time: 2 probes in a row failed, the last one: nothing listens',
    ],
  },
  {
    title: 'one death leaves one restart',
    services: [web],
    steps: (it) => sick(crashed(it, 1)),
    atMs: 21_000,
    actions: ['restart app: 2 probes in a row failed, the last one: nothing listens'],
  },
  {
    title: 'deaths before the window are forgotten',
    services: [web],
    steps: (it) => crashed(it, 2).probe('app', REFUSED, 90_000).probe('app', REFUSED, 91_000),
    atMs: 91_000,
    actions: ['restart app: 2 probes in a row failed, the last one: nothing listens'],
  },
  {
    title: 'an order of an operator is followed up as its own are',
    services: [web],
    steps: (it) => it.see('app', running(5, 0), 10).probe('app', OK, 20).order('app', 5000, false, 'operator'),
    atMs: 8000,
    actions: ['kill app: SIGTERM did not end it within 3 s'],
  },
)

for (const { title, services = [app], steps, atMs, actions } of TABLE) {
  test(`policy: ${title}`, () => {
    const teller = story(services)
    steps(teller)
    const decided = decide(teller.machine(), atMs).map(({ kind, service, reason }) => `${kind} ${service}: ${reason}`)
    assert.equal(decided, actions)
  })
}

test.run()
