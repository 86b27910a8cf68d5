import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Death } from '../../runtime/shared/death-tally.ts'
import { classifyExit, type ExitCircumstances, type ExitReason } from '../../runtime/sidecar/state/exit-reason.ts'
import { flappingReason } from '../../runtime/sidecar/state/flapping.ts'
import { watchOomKills } from '../../runtime/sidecar/state/oom-kills.ts'
import { nextBootHistory } from '../../runtime/sidecar/state/service-history.ts'
import { plannedService } from './local-tree.ts'
import { died, exits, OK, REFUSED, running, seen, story } from './machine-records.ts'

const app = plannedService({
  name: 'app',
  restart: { maxAttempts: 50, windowMs: 60_000, backoff: { initialMs: 0, maxMs: 0, factor: 1 } },
})
const NOTHING: ExitCircumstances = {
  stopping: false,
  ordered: null,
  stopped: false,
  saidOutOfMemory: false,
  kernelKilledForMemory: () => false,
}
const code = (number: number) => ({ kind: 'exit', code: number }) as const
const signal = (number: number) => ({ kind: 'signal', signal: number }) as const

const REASONS: { title: string; exit: Death['exit']; given?: Partial<ExitCircumstances>; reason: ExitReason }[] = [
  { title: 'exit 0', exit: code(0), reason: 'clean' },
  { title: 'exit 1', exit: code(1), reason: 'error' },
  { title: 'SIGSEGV', exit: signal(11), reason: 'signal' },
  { title: 'SIGKILL by nobody knows whom', exit: signal(9), reason: 'signal' },
  {
    title: 'SIGKILL while the kernel killed',
    exit: signal(9),
    given: { kernelKilledForMemory: () => true },
    reason: 'oom',
  },
  {
    title: 'a shell whose child was killed',
    exit: code(137),
    given: { kernelKilledForMemory: () => true },
    reason: 'oom',
  },
  {
    title: 'SIGSEGV while the kernel killed',
    exit: signal(11),
    given: { kernelKilledForMemory: () => true },
    reason: 'signal',
  },
  { title: 'an error after a failed allocation', exit: code(1), given: { saidOutOfMemory: true }, reason: 'oom' },
  { title: 'a clean end after a failed allocation', exit: code(0), given: { saidOutOfMemory: true }, reason: 'clean' },
  { title: 'SIGTERM by hand', exit: signal(15), reason: 'operator' },
  { title: 'a stop', exit: code(0), given: { stopped: true }, reason: 'operator' },
  { title: 'a kill for its probes', exit: signal(9), given: { ordered: 'liveness' }, reason: 'liveness' },
  { title: 'a restart after another', exit: signal(15), given: { ordered: 'dependency' }, reason: 'dependency' },
  { title: 'the end of the machine', exit: signal(9), given: { stopping: true, stopped: true }, reason: 'shutdown' },
]

for (const { title, exit, given, reason } of REASONS) {
  test(`why it ended: ${title}`, () => {
    assert.is(classifyExit(exit, app, { ...NOTHING, ...given }), reason)
  })
}

test('the kernel is blamed for a kill only where its count has risen', () => {
  const counts = [2, 2, 3, 3, null]
  const hasKilled = watchOomKills(() => counts.shift() ?? null)
  assert.equal([hasKilled(), hasKilled(), hasKilled(), hasKilled()], [false, true, false, false])
})

test('what was known of a run holds for its own death alone', () => {
  const it = story([app]).see('app', running(5, 0), 10).order('app', 1000)
  const deaths = [died(1001, signal(15)), died(2001, code(1)), died(3001, signal(11))]
  it.see('app', running(8, 4000, { deaths }), 4010)
  const { exits: counted, lastExits, restarts } = it.record('app').history
  assert.equal([counted.liveness, counted.error, counted.signal, counted.operator], [1, 1, 1, 0])
  assert.equal(
    lastExits.map(({ reason }) => reason),
    ['liveness', 'error', 'signal'],
  )
  assert.is(restarts, 3)
})

test('records that were put away with the budget are counted, each once', () => {
  const it = story([app]).see('app', running(5, 0), 10)
  const [first, second] = [died(100, code(1)), died(200, code(1))]
  it.see('app', running(6, 110, { deaths: [first], allDeaths: [first] }), 120)
  it.see('app', running(6, 110, { deaths: [], allDeaths: [first] }), 130)
  it.see('app', running(7, 210, { deaths: [second], allDeaths: [first, second] }), 220)
  it.see('app', running(7, 210, { deaths: [second], allDeaths: [first, second] }), 230)
  assert.is(it.record('app').history.restarts, 2)
})

test('a clock that was set back loses no death', () => {
  const it = story([app]).see('app', running(5, 90_000), 90_010)
  const deaths = [died(100_000, code(1))]
  it.see('app', running(6, 100_010, { deaths }), 100_020)
  deaths.push(died(3000, code(1)))
  it.see('app', running(7, 3010, { deaths: [...deaths] }), 3020)
  assert.is(it.record('app').history.restarts, 2)
})

test('a run that was replaced without a record counts as an end that nobody saw', () => {
  const it = story([app]).see('app', running(5, 0), 10)
  it.see('app', { ...seen({}), supervised: false }, 50).see('app', running(9, 60), 70)
  assert.is(it.record('app').history.restarts, 1)
  assert.is(it.record('app').history.exits.unknown, 1)
  it.see('app', running(9, 60), 80)
  assert.is(it.record('app').history.restarts, 1)
})

test('a death that was noted before the status tells of it counts once', () => {
  const it = story([app]).see('app', running(5, 10), 20)
  const deaths = [died(100, code(1))]
  it.see('app', running(5, 10, { deaths }), 101).see('app', running(5, 10, { deaths }), 102)
  it.see('app', running(6, 110, { deaths }), 120)
  assert.is(it.record('app').history.restarts, 1)
})

test('however the looks fall, every death is counted once', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 5 }), { maxLength: 40 }), (steps) => {
      const it = story([app])
      const deaths: Death[] = []
      let now = 0
      for (const newDeaths of steps) {
        for (let index = 0; index < newDeaths; index += 1) {
          now += 10
          deaths.push(died(now, code(1)))
        }
        now += 1
        it.see('app', running(now, now, { deaths: [...deaths] }), now)
      }
      const { history } = it.record('app')
      const unseen = history.exits.unknown
      assert.is(history.exits.error, deaths.length)
      assert.is(history.restarts, deaths.length + unseen)
      assert.ok(history.faults.length <= 50 && history.flips.length <= 32 && history.lastExits.length <= 10)
    }),
  )
})

test('the next boot begins with the restarts of all before, and with a whole budget', () => {
  const it = story([app]).see('app', running(5, 0), 10)
  it.see('app', running(6, 100, { deaths: exits(2, 50) }), 110)
  const next = nextBootHistory(it.record('app').history)
  assert.equal([next.restarts, next.earlierRestarts, next.deaths, next.living], [2, 2, 0, null])
  assert.equal([next.faults, next.flips, next.futileStarts], [[], [], 0])
  assert.is(next.exits.error, 2)
})

test('start-up times are remembered, the last twenty', () => {
  const it = story([app])
  const deaths: Death[] = []
  for (let run = 0; run < 25; run += 1) {
    const at = run * 1000
    it.see('app', running(run + 1, at, { deaths: [...deaths] }), at).probe('app', OK, at + 100 + run)
    deaths.push(died(at + 900, code(1)))
    it.see('app', seen({}, { deaths: [...deaths] }), at + 900)
  }
  const { startupsMs } = it.record('app').history
  assert.is(startupsMs.length, 20)
  assert.equal([startupsMs[0], startupsMs.at(-1)], [105, 124])
})

test('flapping is a rate over the window, whatever it does just now', () => {
  const it = story([app]).see('app', running(5, 0), 10).probe('app', OK, 20)
  assert.is(flappingReason(it.record('app'), 30), null)
  for (let flip = 1; flip <= 4; flip += 1) {
    const at = flip * 5000
    it.probe('app', REFUSED, at)
      .probe('app', OK, at + 1000)
      .probe('app', OK, at + 2000)
  }
  assert.ok(it.record('app').ready)
  assert.is(flappingReason(it.record('app'), 23_000), 'it died or became unready 4 times within 60 s')
  assert.is(flappingReason(it.record('app'), 70_000), null, 'it has been steady since')
})

test.run()
