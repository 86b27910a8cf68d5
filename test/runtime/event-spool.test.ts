import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { spoolDirectory, spoolEvent } from '../../runtime/shared/event-spool.ts'
import type { EventDraft } from '../../runtime/shared/machine-event.ts'
import { type FileJournal, openFileJournal } from '../../runtime/sidecar/events/file-journal.ts'
import { startSpoolReader } from '../../runtime/sidecar/events/spool-reader.ts'
import { readSpooledDraft } from '../../runtime/sidecar/events/spooled-draft.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { until } from './local-tree.ts'

const step = (n: number): EventDraft => ({ type: 'provision.item', service: 'models', status: String(n) })

function begin(root = temporaryDirectory()) {
  const paths = { state: `${root}/state`, run: `${root}/run` }
  const directory = spoolDirectory(paths)
  const problems: string[] = []
  const journal = openFileJournal({ paths, bootId: 'b', machine: 'm', onProblem: () => {} })
  const read = (take: FileJournal['appendSpooled'] = journal.appendSpooled) =>
    startSpoolReader({
      directory,
      take,
      takenNames: journal.spoolNames,
      onProblem: (message) => problems.push(message),
    })
  const taken = () => journal.since(0, 1000).map(({ status }) => Number(status))
  return { root, directory, problems, journal, read, taken, files: () => readdirSync(directory) }
}

test('events of other programs are taken within moments, in their order, with their time', async () => {
  const { directory, journal, read, taken, files } = begin()
  for (let n = 1; n <= 3; n++) spoolEvent(directory, step(n), 1_700_000_000_000 + n)
  const reader = read()
  await until('the first are taken', 3000, () => taken().length === 3)
  for (let n = 4; n <= 400; n++) spoolEvent(directory, step(n), 1_700_000_000_000 + n)
  const startedMs = performance.now()
  await until('all are taken', 5000, () => taken().length === 400)
  assert.ok(performance.now() - startedMs < 2000)
  assert.equal(
    taken(),
    Array.from({ length: 400 }, (_, index) => index + 1),
  )
  assert.is(journal.since(0, 1)[0]?.at, '2023-11-14T22:13:20.001Z')
  assert.equal(files(), [])
  reader.close()
  journal.close()
})

test('an event whose file outlived a crash is not taken twice', async () => {
  const first = begin()
  spoolEvent(first.directory, step(1), 1)
  spoolEvent(first.directory, step(2), 2)
  const [name] = first.files().sort()
  const text = readFileSync(`${first.directory}/${name}`, 'utf8')
  const reader = first.read()
  await until('both are taken', 3000, () => first.taken().length === 2)
  reader.close()
  first.journal.close()
  writeFileSync(`${first.directory}/${name}`, text)
  const second = begin(first.root)
  spoolEvent(second.directory, step(3), 3)
  const again = second.read()
  await until('the new one is taken', 3000, () => second.taken().length === 3)
  assert.equal(second.taken(), [1, 2, 3])
  assert.equal(second.files(), [])
  again.close()
  second.journal.close()
})

test('what is no event is put aside and said, and holds up nothing', async () => {
  const { directory, journal, read, taken, problems } = begin()
  mkdirSync(directory, { recursive: true })
  writeFileSync(`${directory}/000.json`, '{ "type": "provis')
  writeFileSync(`${directory}/001.json`, JSON.stringify({ type: 'machine.ready', at: '2026-01-01T00:00:00.000Z' }))
  spoolEvent(directory, step(1), 1)
  const reader = read()
  await until('the good one is taken', 3000, () => taken().length === 1)
  assert.equal(readdirSync(`${directory}/rejected`).sort(), ['000.json', '001.json'])
  assert.is(problems.length, 2)
  assert.match(problems[0]!, 'it is not JSON')
  assert.match(problems[1]!, 'only the sidecar says "machine.ready"')
  reader.close()
  journal.close()
})

test('while the journal takes nothing, files stay', async () => {
  const { directory, journal, read, taken, files } = begin()
  spoolEvent(directory, step(1), 1)
  let isOpen = false
  const reader = read((draft, name) => isOpen && journal.appendSpooled(draft, name))
  await sleep(200)
  assert.is(files().length, 1)
  isOpen = true
  await until('it is taken', 4000, () => taken().length === 1)
  reader.close()
  journal.close()
})

test('only what belongs to an event is read from a spooled file', () => {
  const at = '2026-01-01T00:00:00.000Z'
  const read = (value: object) => readSpooledDraft(JSON.stringify(value))
  assert.equal(
    read({
      type: 'provision.progress',
      at,
      seq: 99,
      service: 'models',
      gpu: -1,
      progress: { item: 'a', bytes: 5, totalBytes: 'many', etaSeconds: -1, speed: 3 },
      context: { task: 'models' },
      more: true,
    }),
    {
      type: 'provision.progress',
      at,
      service: 'models',
      progress: { item: 'a', bytes: 5 },
      context: { task: 'models' },
    },
  )
  assert.is(read({ type: 'provision.progress', at }), 'its type needs "progress"')
  assert.is(read({ type: 'provision.failed', at }), 'its type needs "error"')
  assert.is(read({ type: 'machine.alarm', at, status: 'raised' }), 'its type needs "context.alarm"')
  assert.is(read({ type: 'provision.done' }), 'it has no time')
  assert.is(read({ type: 'service.ready', at, service: 'x' }), 'only the sidecar says "service.ready"')
  assert.is(read([]), 'it is not a JSON object')
})

test.run()
