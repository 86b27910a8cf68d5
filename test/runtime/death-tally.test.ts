import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { countedDeaths, type Death, decodeDeathTally } from '../../runtime/shared/death-tally.ts'

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

const died = (atMs: number, code: number): Death => ({ atMs, exit: { kind: 'exit', code } })
const signalled = (atMs: number, signal: number): Death => ({ atMs, exit: { kind: 'signal', signal } })

const TABLE: { title: string; deaths: Death[]; counted: number; cleanExit?: boolean }[] = [
  { title: 'none', deaths: [], counted: 0 },
  { title: 'those in the window before the last', deaths: [died(0, 1), died(500, 1), died(1400, 1)], counted: 2 },
  { title: 'exit code 0 counts: a custom service is not to end', deaths: [died(1, 0)], counted: 1 },
  {
    title: 'exit code 0 of a built-in service is how it ends when asked',
    deaths: [died(1, 0)],
    counted: 0,
    cleanExit: false,
  },
  { title: 'SIGKILL and SIGSEGV count', deaths: [signalled(1, 9), signalled(2, 11)], counted: 2 },
  { title: 'asked to end does not', deaths: [signalled(1, 15), signalled(2, 2), signalled(3, 3)], counted: 0 },
  { title: 'nor the exit codes that stand for it', deaths: [died(1, 143), died(2, 130), died(3, 131)], counted: 0 },
]

for (const { title, deaths, counted, cleanExit = true } of TABLE) {
  test(`deaths that count: ${title}`, () => {
    assert.is(countedDeaths(deaths, 1000, cleanExit).length, counted)
  })
}

test.run()
