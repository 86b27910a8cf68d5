import { execFileSync, spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { EventDraft, MachineEvent } from '../../runtime/shared/machine-event.ts'
import {
  type FileJournal,
  type FileJournalOptions,
  openFileJournal,
} from '../../runtime/sidecar/events/file-journal.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { eventFlaw } from './event-schema.ts'
import { until } from './local-tree.ts'

interface Place {
  readonly state: string
  readonly run: string
  readonly directory: string
}

function place(): Place {
  const root = temporaryDirectory()
  return { state: `${root}/state`, run: `${root}/run`, directory: `${root}/state/events` }
}

function open(paths: Place, more: Partial<FileJournalOptions> = {}): FileJournal {
  return openFileJournal({ paths, bootId: 'boot-1', machine: 'm', onProblem: () => {}, ...more })
}

const step = (n: number): EventDraft => ({ type: 'operator.action', status: String(n) })
const progress = (n: number): EventDraft => ({ type: 'provision.progress', service: 'models', progress: { bytes: n } })

/** Everything from a number on, in pages, as a consumer would read it. */
function readAll(journal: FileJournal, seq = 0, page = 100): MachineEvent[] {
  const events: MachineEvent[] = []
  for (;;) {
    const next = journal.since(events.at(-1)?.seq ?? seq, page)
    if (next.length === 0) return events
    events.push(...next)
  }
}

/** Every number from `first` to the last is there once, in order, or explained by an `events.lost`. */
function assertWhole(events: readonly MachineEvent[], first: number, last: number): void {
  let expected = first
  for (const event of events) {
    assert.is(eventFlaw(event), null, JSON.stringify(event))
    if (event.type === 'events.lost') assert.is(event.context?.firstSeq, expected)
    else assert.is(event.seq, expected)
    expected = event.seq + 1
  }
  assert.is(expected, last + 1)
}

const lostCount = (events: readonly MachineEvent[]) =>
  events.reduce((sum, { type, context }) => sum + (type === 'events.lost' ? Number(context?.count) : 0), 0)

test('events get numbers, are followed, and are read back after any of them', () => {
  const journal = open(place(), { nowMs: () => 0 })
  const heard: number[] = []
  const end = journal.follow(({ seq }) => heard.push(seq))
  for (let n = 1; n <= 5; n++) journal.append(step(n))
  end()
  journal.append({ ...step(6), at: '2026-01-01T00:00:00.000Z' })
  assert.equal(heard, [1, 2, 3, 4, 5])
  assert.equal([journal.firstSeq(), journal.lastSeq()], [1, 6])
  assert.equal(
    journal.since(4, 10).map(({ seq }) => seq),
    [5, 6],
  )
  assert.equal(
    journal.since(0, 2).map(({ seq }) => seq),
    [1, 2],
  )
  assert.equal(journal.since(6, 10), [])
  assert.equal(journal.since(5, 1)[0], {
    v: 1,
    bootId: 'boot-1',
    seq: 6,
    at: '2026-01-01T00:00:00.000Z',
    machine: 'm',
    type: 'operator.action',
    status: '6',
  })
  assert.equal({ ...journal.counts(), bytes: 0 }, { appended: 6, dropped: 0, bytes: 0 })
  journal.close()
})

test('a follower that throws costs nobody an event', () => {
  const journal = open(place())
  journal.follow(() => {
    throw new Error('mine')
  })
  const heard: number[] = []
  journal.follow(({ seq }) => heard.push(seq))
  journal.append(step(1))
  assert.equal(heard, [1])
  journal.close()
})

test('numbers go on over restarts and boots, and old events stay readable', () => {
  const paths = place()
  const first = open(paths)
  for (let n = 1; n <= 700; n++) first.append(step(n))
  first.close()
  const second = open(paths, { bootId: 'boot-2' })
  assert.is(second.inherited?.bootId, 'boot-1')
  assert.is(second.append(step(701)).seq, 701)
  const events = readAll(second)
  assertWhole(events, 1, 701)
  assert.equal([events[0]!.bootId, events[700]!.bootId], ['boot-1', 'boot-2'])
  second.close()
})

test('a journal whose volume was lost begins anew, under its new boot', () => {
  const paths = place()
  const first = open(paths)
  for (let n = 1; n <= 5; n++) first.append(step(n))
  first.close()
  rmSync(paths.state, { recursive: true })
  rmSync(paths.run, { recursive: true })
  const second = open(paths, { bootId: 'boot-2' })
  assert.is(second.inherited, null)
  assert.is(second.append(step(1)).seq, 1)
  second.close()
})

test('a volume that is emptied under a running boot gives no number twice', () => {
  const paths = place()
  const first = open(paths)
  for (let n = 1; n <= 5; n++) first.append(step(n))
  rmSync(paths.directory, { recursive: true })
  first.append(step(6))
  assertWhole(first.since(4, 10), 5, 6)
  first.close()
  assert.is(readdirSync(paths.directory).length, 1, 'it made itself a new file')
  rmSync(paths.directory, { recursive: true })
  const second = open(paths)
  assert.is(second.append(step(7)).seq, 7)
  const [lost, event] = second.since(5, 10)
  assert.equal([lost?.type, lost?.seq, event?.seq], ['events.lost', 6, 7])
  second.close()
})

for (const [title, rest] of [
  ['half a line', '{"v":1,"bootId":"boot-1","se'],
  ['zeros, as a power cut leaves them', '\0'.repeat(5000)],
  ['a whole line that is none', '{"v":1}\nnonsense\n'],
] as const) {
  test(`recovers from ${title} at the end`, () => {
    const paths = place()
    const first = open(paths)
    for (let n = 1; n <= 10; n++) first.append(step(n))
    first.close()
    const file = `${paths.directory}/${readdirSync(paths.directory).find((name) => name.endsWith('.ndjson'))}`
    const whole = statSync(file).size
    appendFileSync(file, rest)
    const second = open(paths)
    assert.is(statSync(file).size, whole)
    assert.is(second.append(step(11)).seq, 11)
    assertWhole(readAll(second), 1, 11)
    second.close()
  })
}

test('a spoilt line in the middle is a loss of one', () => {
  const paths = place()
  const first = open(paths)
  for (let n = 1; n <= 600; n++) first.append(step(n))
  first.close()
  const file = `${paths.directory}/${readdirSync(paths.directory)[0]}`
  const lines = readFileSync(file, 'utf8').split('\n')
  lines[99] = '#'.repeat(lines[99]!.length)
  writeFileSync(file, lines.join('\n'))
  const second = open(paths)
  const events = readAll(second)
  assertWhole(events, 1, 600)
  assert.equal(events[99], {
    v: 1,
    bootId: 'boot-1',
    seq: 100,
    at: events[100]!.at,
    machine: 'm',
    type: 'events.lost',
    context: { count: 1, firstSeq: 100, lastSeq: 100 },
  })
  second.close()
})

const SMALL = { segmentBytes: 4000, totalBytes: 20_000 }

test('what was delivered makes room without a word', () => {
  const paths = place()
  const journal = open(paths, { bounds: SMALL })
  for (let n = 1; n <= 5000; n++) journal.append(step(n))
  assert.is(journal.counts().dropped, 0)
  assert.ok(journal.counts().bytes <= 24_000, `${journal.counts().bytes}`)
  const first = journal.firstSeq()
  assert.ok(first > 3900, `${first}`)
  assertWhole(readAll(journal, first - 1), first, 5000)
  const late = readAll(journal, 10)
  assertWhole(late, 11, 5000)
  assert.is(lostCount(late), first - 11, 'who comes too late is told how much it missed')
  journal.close()
})

test('what was not delivered loses its progress first, then its oldest, and says where', () => {
  const paths = place()
  let delivered = 0
  const journal = open(paths, { bounds: SMALL, delivered: () => delivered })
  const isStep = (n: number) => n % 10 === 0
  for (let n = 1; n <= 600; n++) journal.append(isStep(n) ? step(n) : progress(n))
  journal.close()
  const reopened = open(paths, { bounds: SMALL, delivered: () => delivered })
  const events = readAll(reopened)
  assertWhole(events, 1, 600)
  assert.is(events.filter(({ type }) => type === 'operator.action').length, 60, 'no step went for a progress')
  assert.ok(
    events.some(({ type }) => type === 'provision.progress'),
    'the newest progress is there',
  )
  assert.is(lostCount(events), journal.counts().dropped)
  for (let n = 601; n <= 1200; n++) reopened.append(step(n))
  const { dropped: more } = reopened.counts()
  reopened.close()
  const last = open(paths, { bounds: SMALL, delivered: () => delivered })
  const later = readAll(last)
  assertWhole(later, 1, 1200)
  assert.ok(later.filter(({ type }) => type === 'operator.action').length < 660)
  assert.is(lostCount(later), journal.counts().dropped + more)
  delivered = 1200
  for (let n = 1201; n <= 1250; n++) last.append(step(n))
  assert.is(last.counts().dropped, 0)
  last.close()
})

test('an event that JSON cannot hold, or that is endless, is kept without its context', () => {
  const journal = open(place())
  const circular: Record<string, unknown> = {}
  circular.self = circular
  assert.equal(journal.append({ ...step(1), context: circular }).context, { clipped: true })
  const long = { type: 'provision.failed', error: { code: 'X', message: 'm'.repeat(300_000) } } as const
  assert.is(journal.append(long).error?.message.length, 1000)
  assert.equal(
    journal.since(0, 10).map(({ seq }) => seq),
    [1, 2],
  )
  journal.close()
})

test('a disk that refuses is said once; events wait in memory and go to disk in order', async () => {
  const paths = place()
  const said: (string | null)[] = []
  mkdirSync(paths.state)
  writeFileSync(paths.directory, 'in the way')
  const journal = open(paths, { onProblem: (problem) => said.push(problem) })
  for (let n = 1; n <= 50; n++) journal.append(step(n))
  assertWhole(readAll(journal), 1, 50)
  assert.is(journal.counts().bytes, 0)
  assert.not(journal.appendSpooled(step(51), 'a.json'), 'what is safe in the spool stays there')
  assert.is(said.length, 1)
  rmSync(paths.directory)
  await until('it writes again', 5000, () => said.length === 2)
  assert.is(said[1], null)
  assert.ok(journal.appendSpooled(step(51), 'a.json'))
  journal.close()
  const again = open(paths)
  assertWhole(readAll(again), 1, 51)
  assert.equal([...again.spoolNames()], ['a.json'])
  again.close()
})

test('what waits in memory is bounded, and the loss shows', async () => {
  const paths = place()
  mkdirSync(paths.state)
  writeFileSync(paths.directory, 'in the way')
  let recovered = false
  const onProblem = (problem: string | null) => {
    recovered = problem === null
  }
  const journal = open(paths, { onProblem })
  for (let n = 1; n <= 6000; n++) journal.append(n % 4 === 0 ? progress(n) : step(n))
  rmSync(paths.directory)
  await until('it writes again', 5000, () => recovered)
  const events = readAll(journal)
  assertWhole(events, 1, 6000)
  assert.is(lostCount(events), 1000)
  assert.is(events.filter(({ type }) => type === 'operator.action').length, 4500, 'progress went first')
  journal.close()
})

test('a sidecar that dies with events in memory gives none of their numbers again', () => {
  const paths = place()
  open(paths).append(step(1))
  mkdirSync(`${paths.state}/aside`)
  execFileSync('mv', [paths.directory, `${paths.state}/aside/events`])
  writeFileSync(paths.directory, 'in the way')
  const dying = open(paths)
  for (let n = 2; n <= 5; n++) dying.append(step(n))
  rmSync(paths.directory)
  execFileSync('mv', [`${paths.state}/aside/events`, paths.directory])
  const next = open(paths)
  assert.is(next.append(step(6)).seq, 6)
  const events = readAll(next)
  assertWhole(events, 1, 6)
  assert.is(lostCount(events), 4)
  next.close()
})

const canMount = process.getuid?.() === 0 && trial()

function trial(): boolean {
  const directory = temporaryDirectory()
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]).status !== 0) return false
  return spawnSync('umount', [directory]).status === 0
}

const onSmallDisk = canMount ? test : test.skip

onSmallDisk('a disk that fills up loses no event, and takes all again when there is room', async () => {
  const root = temporaryDirectory()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', root])
  try {
    const paths = { state: `${root}/state`, run: temporaryDirectory(), directory: `${root}/state/events` }
    const said: (string | null)[] = []
    const journal = open(paths, { onProblem: (problem) => said.push(problem) })
    writeFileSync(`${root}/ballast`, Buffer.alloc(420_000))
    for (let n = 1; n <= 2000; n++) journal.append(step(n))
    assert.is(said.length, 1)
    assert.match(String(said[0]), 'ENOSPC')
    assertWhole(readAll(journal), 1, 2000)
    rmSync(`${root}/ballast`)
    await until('it writes again', 5000, () => said.length === 2)
    journal.append(step(2001))
    journal.close()
    const again = open(paths)
    assertWhole(readAll(again), 1, 2001)
    again.close()
  } finally {
    execFileSync('umount', ['-l', root])
  }
})

test.run()
