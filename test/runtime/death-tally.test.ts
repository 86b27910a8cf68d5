import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { countedDeaths, type Death, decodeDeathTally } from '../../runtime/shared/death-tally.ts'
import type { PlannedService } from '../../schema/plan.ts'
import { plannedService } from './local-tree.ts'
import { died } from './machine-records.ts'

/** As s6-supervise 2.11 wrote it after a `kill -9`. */
const KILLED = '400000006b01e1900f9376898909'
const EXITED = '400000006b01e1910f9376890700'

test('records are read oldest first', () => {
  const deaths = decodeDeathTally(Buffer.from(KILLED + EXITED, 'hex'))
  assert.equal(
    deaths.map(({ exit }) => exit),
    [
      { kind: 'signal', signal: 9 },
      { kind: 'exit', code: 7 },
    ],
  )
  assert.is(deaths[1]!.atMs - deaths[0]!.atMs, 1000)
})

test('an empty or torn tally has no deaths', () => {
  assert.equal(decodeDeathTally(Buffer.alloc(0)), [])
  assert.equal(decodeDeathTally(Buffer.from(KILLED.slice(2), 'hex')), [])
})

const exited = (atMs: number, code: number): Death => died(atMs, { kind: 'exit', code })
const signalled = (atMs: number, signal: number): Death => died(atMs, { kind: 'signal', signal })

const custom = plannedService({
  name: 'app',
  restart: { maxAttempts: 3, windowMs: 1000, backoff: { initialMs: 0, maxMs: 0, factor: 1 } },
})

const TABLE: { title: string; deaths: Death[]; counted: number; service?: Partial<PlannedService> }[] = [
  { title: 'none', deaths: [], counted: 0 },
  { title: 'none without a budget', deaths: [exited(1, 1)], counted: 0, service: { restart: null } },
  { title: 'those in the window before the last', deaths: [exited(0, 1), exited(500, 1), exited(1400, 1)], counted: 2 },
  { title: 'exit code 0 counts: a custom service is not to end', deaths: [exited(1, 0)], counted: 1 },
  {
    title: 'exit code 0 of a built-in service is how it ends when asked',
    deaths: [exited(1, 0)],
    counted: 0,
    service: { type: 'ollama' },
  },
  { title: 'SIGKILL and SIGSEGV count', deaths: [signalled(1, 9), signalled(2, 11)], counted: 2 },
  { title: 'asked to end does not', deaths: [signalled(1, 15), signalled(2, 2), signalled(3, 3)], counted: 0 },
  {
    title: 'nor the exit codes that stand for it',
    deaths: [exited(1, 143), exited(2, 130), exited(3, 131)],
    counted: 0,
  },
  { title: 'SIGHUP counts', deaths: [signalled(1, 1), exited(2, 129)], counted: 2 },
  {
    title: 'SIGHUP does not where that is how the service is stopped',
    deaths: [signalled(1, 1), exited(2, 129), signalled(3, 10)],
    counted: 1,
    service: { stop: { signal: 'SIGHUP', timeoutMs: 1000 } },
  },
]

for (const { title, deaths, counted, service } of TABLE) {
  test(`deaths that count: ${title}`, () => {
    assert.is(countedDeaths(deaths, { ...custom, ...service }).length, counted)
  })
}

test('any bytes are read without an error, and give as many deaths as whole records', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 14 * 50 }), (bytes) => {
      const deaths = decodeDeathTally(bytes)
      assert.is(deaths.length, bytes.length % 14 === 0 ? bytes.length / 14 : 0)
      for (const { atMs, id, exit } of deaths) {
        assert.ok(Number.isFinite(atMs) && id.length === 28)
        assert.ok(exit.kind === 'exit' ? exit.code <= 255 : exit.signal <= 255)
      }
    }),
  )
})

test.run()
