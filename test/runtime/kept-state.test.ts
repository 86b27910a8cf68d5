import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decide } from '../../runtime/sidecar/policy.ts'
import { bootReady, enterBoot } from '../../runtime/sidecar/state/boot-history.ts'
import { moveClock, watchClock } from '../../runtime/sidecar/state/clock-jump.ts'
import { type Kept, parseKept, restoreMachine } from '../../runtime/sidecar/state/kept-state.ts'
import { createStateFiles } from '../../runtime/sidecar/state/state-files.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { plannedService } from './local-tree.ts'
import { exits, OK, running, story } from './machine-records.ts'

const app = plannedService({ name: 'app', startupTimeoutMs: 5000 })
const plan = { services: [app] }

function filesIn(root: string, bootId: string, machine = story([app]).machine()) {
  const errors: string[] = []
  const paths = { run: `${root}/run`, state: `${root}/state` }
  const files = createStateFiles({
    paths,
    bootId,
    machine: () => machine,
    onError: (_, error) => errors.push(error.message),
  })
  return { files, errors }
}

const told = () =>
  story([app])
    .see('app', running(5, 1000), 1010)
    .probe('app', OK, 1500)
    .see('app', running(6, 3000, { deaths: exits(1, 2000) }), 3010)
    .probe('app', OK, 3400)

test('the next sidecar of a boot knows what the last one knew', () => {
  const root = temporaryDirectory()
  const it = told().order('app', 4000)
  const { files } = filesIn(root, 'boot-1', it.machine())
  files.keep(it.record('app'))
  files.flush()
  const restored = restoreMachine(plan, filesIn(root, 'boot-1').files.load(), { id: 'boot-1', startedAtMs: 0 }, 5000)
  const { observation: _, ...known } = it.record('app')
  assert.equal(restored.services.get('app'), { ...known, observation: null })
})

test('the next boot knows the history, and nothing of runs that are over', () => {
  const root = temporaryDirectory()
  const it = told()
  const { files } = filesIn(root, 'boot-1', it.machine())
  files.keep(it.record('app'))
  files.flush()
  const machine = restoreMachine(plan, filesIn(root, 'boot-2').files.load(), { id: 'boot-2', startedAtMs: 9000 }, 9100)
  const record = machine.services.get('app')!
  assert.equal([record.ready, record.incarnation, record.order, record.state], [false, null, null, 'down'])
  assert.equal([record.history.restarts, record.history.deaths, record.history.startupsMs.length], [1, 0, 2])
})

test('files that are damaged, torn or of another kind count as none', () => {
  const root = temporaryDirectory()
  const it = told()
  const { files } = filesIn(root, 'boot-1', it.machine())
  files.keep(it.record('app'))
  files.flush()
  const file = `${root}/run/sidecar/services/app.json`
  const whole = readFileSync(file, 'utf8')
  for (const text of ['', '{', 'null', '[]', '{"v":2}', whole.slice(0, whole.length / 2)]) {
    writeFileSync(file, text)
    assert.is(filesIn(root, 'boot-1').files.load().services.size, 0, text.slice(0, 20))
  }
  fc.assert(fc.property(fc.string(), (text) => parseKept(text) === null || text.includes('"v"')))
})

test('what a kill in the middle of a write left is removed', () => {
  const root = temporaryDirectory()
  const { files } = filesIn(root, 'boot-1')
  const directory = `${root}/run/sidecar/services`
  mkdirSync(directory, { recursive: true })
  writeFileSync(`${directory}/.app.json.0a1b2c`, '{"v":1')
  files.load()
  assert.equal(readdirSync(directory), [])
})

test('a directory that cannot be written is told of once', () => {
  const root = temporaryDirectory()
  writeFileSync(`${root}/run`, 'a file in the way')
  const it = told()
  const { files, errors } = filesIn(root, 'boot-1', it.machine())
  for (let time = 0; time < 3; time += 1) files.keepNow({ ...it.record('app'), sinceMs: time })
  assert.is(errors.length, 1)
})

test('boots: the same one goes on, another one finds how the last ended', () => {
  const first = enterBoot([], 'a', 100, null)
  const ready = bootReady(first, 350)
  assert.equal(ready, bootReady(ready, 900), 'ready once')
  assert.is(ready[0]?.readyAfterMs, 250)
  assert.is(enterBoot(ready, 'a', 100, 500), ready)
  const [crashed, next] = enterBoot(ready, 'b', 1000, 700)
  assert.equal([crashed?.ended, crashed?.endedAtMs, next?.id, next?.ended], ['crash', 700, 'b', null])
  let boots = first
  for (let boot = 0; boot < 80; boot += 1) boots = enterBoot(boots, `boot ${boot}`, boot, boot)
  assert.is(boots.length, 50)
})

test('a sidecar that comes back during a stop knows that the machine stops', () => {
  const boots = [
    { id: 'a', startedAtMs: 0, readyAtMs: null, readyAfterMs: null, endedAtMs: 5, ended: 'graceful' as const },
  ]
  const kept: Kept = { history: null, services: new Map(), boots }
  assert.ok(restoreMachine(plan, kept, { id: 'a', startedAtMs: 0 }, 10).stopping)
  assert.not(restoreMachine(plan, kept, { id: 'b', startedAtMs: 9 }, 10).stopping)
})

test('a clock that is set is told of, one that is corrected is not', () => {
  let [wallMs, steadyMs] = [1_000_000, 0]
  const jump = watchClock(
    () => wallMs,
    () => steadyMs,
  )
  const pass = (ms: number, setMs = 0) => {
    steadyMs += ms
    wallMs += ms + setMs
    return jump()
  }
  assert.is(pass(1000), 0)
  assert.is(pass(1000, 300), 0)
  assert.is(pass(1000, 3_600_000), 3_600_300)
  assert.is(pass(1000), 0)
  assert.is(pass(1000, -7_200_000), -7_200_000)
})

for (const hours of [1, -1, 10_000]) {
  test(`patience is the same where the clock is set by ${hours} h`, () => {
    const byMs = hours * 3_600_000
    const starting = story([app]).see('app', running(5, 0), 10).machine()
    assert.equal(decide(moveClock(starting, byMs), 4000 + byMs), [])
    assert.is(decide(moveClock(starting, byMs), 5100 + byMs).length, 1)
    const ordered = story([app]).see('app', running(5, 0), 10).probe('app', OK, 20).order('app', 1000).machine()
    assert.equal(decide(moveClock(ordered, byMs), 3000 + byMs), [])
    assert.is(decide(moveClock(ordered, byMs), 4000 + byMs)[0]?.kind, 'kill')
  })
}

test.run()
