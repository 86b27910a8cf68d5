import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { ProbeOutcome } from '../../runtime/sidecar/probes/probe.ts'
import { deathReason, judge, type ProbeVerdict, UNPROVEN } from '../../runtime/sidecar/probes/verdict.ts'
import { judgeWorker } from '../../runtime/sidecar/probes/worker-readiness.ts'
import { OK, REFUSED, SLOW } from './machine-records.ts'

const LIVENESS = { intervalMs: 1000, timeoutMs: 500, failures: 4 }
const BROKEN: ProbeOutcome = { ok: false, patient: false, live: false, problem: 'broken for good' }
const BUSY: ProbeOutcome = { ok: false, patient: false, live: true, problem: 'says it is not ready' }

/** The verdict after these outcomes, one an interval. */
const after = (...outcomes: ProbeOutcome[]): ProbeVerdict =>
  outcomes.reduce<ProbeVerdict>(
    (verdict, outcome, index) => judge(verdict, outcome, LIVENESS, (index + 1) * 1000),
    UNPROVEN,
  )

const TABLE: { title: string; outcomes: ProbeOutcome[]; ready: boolean; dead: boolean; failures: number }[] = [
  { title: 'nothing was seen', outcomes: [], ready: false, dead: false, failures: 0 },
  { title: 'the first success opens', outcomes: [OK], ready: true, dead: false, failures: 0 },
  {
    title: 'a start may take any number of failures',
    outcomes: Array(9).fill(REFUSED),
    ready: false,
    dead: false,
    failures: 0,
  },
  { title: 'a slow start is no failure', outcomes: [SLOW, REFUSED, SLOW, OK], ready: true, dead: false, failures: 0 },
  { title: 'a refusal closes at once', outcomes: [OK, REFUSED], ready: false, dead: false, failures: 1 },
  { title: 'one slow answer closes nothing', outcomes: [OK, SLOW], ready: true, dead: false, failures: 1 },
  {
    title: 'a second slow answer closes, and does not kill',
    outcomes: [OK, SLOW, SLOW],
    ready: false,
    dead: false,
    failures: 2,
  },
  {
    title: 'a slow answer between good ones is forgotten',
    outcomes: [OK, SLOW, OK, SLOW, OK],
    ready: true,
    dead: false,
    failures: 0,
  },
  {
    title: 'one success after a refusal opens nothing',
    outcomes: [OK, REFUSED, OK],
    ready: false,
    dead: false,
    failures: 0,
  },
  {
    title: 'two successes after a refusal open',
    outcomes: [OK, REFUSED, OK, OK],
    ready: true,
    dead: false,
    failures: 0,
  },
  {
    title: 'one that flaps stays closed',
    outcomes: [OK, REFUSED, OK, REFUSED, OK],
    ready: false,
    dead: false,
    failures: 0,
  },
  {
    title: 'as many failures as the plan allows',
    outcomes: [OK, SLOW, SLOW, REFUSED, SLOW],
    ready: false,
    dead: true,
    failures: 4,
  },
  { title: 'one that is broken for good', outcomes: [OK, BROKEN], ready: false, dead: true, failures: 0 },
  {
    title: 'one that is broken for good and answers again',
    outcomes: [OK, BROKEN, OK, OK, OK],
    ready: false,
    dead: true,
    failures: 0,
  },
  { title: 'one that breaks while it starts', outcomes: [REFUSED, BROKEN], ready: false, dead: true, failures: 0 },
  {
    title: 'one that lives and is not ready',
    outcomes: [OK, ...Array(9).fill(BUSY)],
    ready: false,
    dead: false,
    failures: 0,
  },
]

for (const { title, outcomes, ready, dead, failures } of TABLE) {
  test(`verdict: ${title}`, () => {
    const verdict = after(...outcomes)
    assert.is(verdict.ready, ready)
    assert.is(verdict.failures, failures)
    assert.is(deathReason(verdict, LIVENESS) !== null, dead)
  })
}

test('the reason of a death is what was found, or how often probes failed', () => {
  assert.is(deathReason(after(OK, BROKEN), LIVENESS), 'broken for good')
  assert.is(
    deathReason(after(OK, SLOW, SLOW, SLOW, REFUSED), LIVENESS),
    '4 probes in a row failed, the last one: nothing listens',
  )
})

test('what is wrong is told until it is ready again', () => {
  assert.is(after(OK, REFUSED, OK).problem, 'nothing listens')
  assert.is(after(OK, REFUSED, OK, OK).problem, null)
  assert.is(after(OK, SLOW, OK).problem, null)
})

test('a probe that changes nothing gives the same verdict', () => {
  const ready = after(OK)
  assert.is(judge(ready, OK, LIVENESS, 5000), ready)
})

test('whatever the probes say, one with a problem was probed, and one that is dead is not ready', () => {
  const outcome = fc.constantFrom(OK, REFUSED, SLOW, BROKEN, BUSY)
  fc.assert(
    fc.property(fc.array(outcome, { maxLength: 30 }), (outcomes) => {
      const verdict = after(...outcomes)
      if (verdict.dead) assert.not(verdict.ready)
      if (verdict.ready) assert.ok(outcomes.includes(OK))
      if (deathReason(verdict, LIVENESS) !== null) assert.not(verdict.ready)
    }),
  )
})

const WORKERS: { says: boolean | null; ranMs: number; ok: boolean }[] = [
  { says: null, ranMs: 0, ok: false },
  { says: null, ranMs: 1999, ok: false },
  { says: null, ranMs: 2000, ok: true },
  { says: true, ranMs: 0, ok: true },
  { says: false, ranMs: 60_000, ok: false },
]

for (const { says, ranMs, ok } of WORKERS) {
  test(`a worker of which Redis says ${says} after ${ranMs} ms is ${ok ? '' : 'not '}ready`, () => {
    const outcome = judgeWorker(says, ranMs, 2000)
    assert.is(outcome.ok, ok)
    if (!outcome.ok) assert.is(outcome.live, true)
  })
}

test.run()
