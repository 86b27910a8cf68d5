import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { workflowsTask } from '../../runtime/provision/workflows/workflows-task.ts'
import type { Plan, PlannedWorkflows } from '../../schema/plan.ts'
import { type GitHost, git, startGitHost } from '../fixtures/git-host.ts'
import { gitSettings, runInProcess } from '../fixtures/node-plan.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

function planOf(root: string, id: string, repository: string, settings: Partial<PlannedWorkflows> = {}): Plan {
  const plan = planFixture({ root: `${root}/${id}`, types: [] })
  const workTree = settings.part == null ? `${plan.paths.shared}/workflows` : plan.paths.shared
  const defaults = { branch: 'main', part: null, push: true, intervalMs: null, user: null }
  const workflows = { repository, workTree, ...defaults, ...settings }
  const machine = { ...plan.machine, id }
  return { ...plan, machine, provisioning: { ...plan.provisioning, workflows, git: gitSettings() } }
}

const folder = (root: string, id: string) => `${root}/${id}/workspace/shared/workflows`
const read = (root: string, id: string, file: string) => readFileSync(`${folder(root, id)}/${file}`, 'utf8')
const files = (root: string, id: string) => readdirSync(folder(root, id)).sort()

function save(root: string, id: string, file: string, text: string): void {
  mkdirSync(folder(root, id), { recursive: true })
  writeFileSync(`${folder(root, id)}/${file}`, text)
}

interface Machines {
  readonly root: string
  readonly host: GitHost
  /** Synchronises a machine with success, and gives what it said. */
  readonly sync: (id: string, settings?: Partial<PlannedWorkflows>) => Promise<string>
  readonly shown: (path: string) => string
}

async function withHost(use: (machines: Machines) => Promise<void>): Promise<void> {
  const root = temporaryDirectory()
  const host = await startGitHost(`${root}/host`)
  const sync: Machines['sync'] = async (id, settings = {}) => {
    const run = await runInProcess(planOf(root, id, host.httpUrl('flows'), settings), 'workflows', workflowsTask)
    assert.is(run.code, 0, run.text)
    return run.text
  }
  try {
    await use({ root, host, sync, shown: (path) => git(`${root}/host/flows.git`, 'show', path) })
  } finally {
    await host.close()
  }
}

test('what is saved on one machine is on the others, deletions included', () =>
  withHost(async ({ root, host, sync, shown }) => {
    host.create('flows', { 'a.json': '{"a":1}\n', 'b.json': '{"b":1}\n' })
    await sync('one')
    await sync('two')
    assert.equal(files(root, 'one'), ['a.json', 'b.json'])
    save(root, 'one', 'c.json', '{"c":1}\n')
    save(root, 'one', 'a.json', '{"a":2}\n')
    rmSync(`${folder(root, 'one')}/b.json`)
    await sync('one')
    assert.is(shown('main:c.json'), '{"c":1}')
    assert.match(
      git(`${root}/host/flows.git`, 'log', '-1', '--format=%an <%ae>: %s', 'main'),
      /^machine one <one@machine\.invalid>: one: 3 workflows$/,
    )
    await sync('two')
    assert.equal(files(root, 'two'), ['a.json', 'c.json'])
    assert.is(read(root, 'two', 'a.json'), '{"a":2}\n')
    assert.match(await sync('two'), /"status":"skipped"/)
  }))

test('files that both sides changed are as the host has them, and what the machine had is beside them', () =>
  withHost(async ({ root, host, sync, shown }) => {
    host.create('flows', { 'a.json': 'base\n', 'b.json': 'base\n', 'gone.json': 'base\n', 'edited.json': 'base\n' })
    await sync('one')
    await sync('two')
    save(root, 'one', 'a.json', 'one\n')
    rmSync(`${folder(root, 'one')}/gone.json`)
    save(root, 'one', 'edited.json', 'one\n')
    await sync('one')
    save(root, 'two', 'a.json', 'two\n')
    save(root, 'two', 'b.json', 'two\n')
    save(root, 'two', 'gone.json', 'two\n')
    rmSync(`${folder(root, 'two')}/edited.json`)
    const said = await sync('two')
    assert.match(
      said,
      /"a.json" was changed here and elsewhere: what was here is now "a.conflict-two-\d{8}-\d{6}.json"/,
    )
    const conflict = files(root, 'two').find((name) => name.startsWith('a.conflict-'))!
    assert.equal([read(root, 'two', 'a.json'), read(root, 'two', conflict)], ['one\n', 'two\n'])
    assert.is(read(root, 'two', 'b.json'), 'two\n')
    assert.equal(
      [read(root, 'two', 'gone.json'), read(root, 'two', 'edited.json')],
      ['two\n', 'one\n'],
      'an edit outlives a removal',
    )
    assert.is(shown(`main:${conflict}`), 'two')
    await sync('one')
    assert.equal(files(root, 'one'), files(root, 'two'))
    const record = JSON.parse(readFileSync(`${root}/two/workspace/.machine/provision/workflows.json`, 'utf8'))
    assert.is(record.entries.workflows.conflicts[0].keptAs, conflict)
  }))

test('files that were there before the first time are kept, whatever the host has', () =>
  withHost(async ({ root, host, sync }) => {
    host.create('flows', { 'same.json': 'same\n', 'other.json': 'theirs\n', 'new.json': 'theirs\n' })
    save(root, 'one', 'same.json', 'same\n')
    save(root, 'one', 'other.json', 'mine\n')
    save(root, 'one', 'own.json', 'mine\n')
    await sync('one')
    const conflict = files(root, 'one').find((name) => name.startsWith('other.conflict-'))!
    assert.equal(files(root, 'one'), ['new.json', conflict, 'other.json', 'own.json', 'same.json'].sort())
    assert.equal([read(root, 'one', 'other.json'), read(root, 'one', conflict)], ['theirs\n', 'mine\n'])
  }))

test('without push nothing leaves the machine, and what comes is merged all the same', () =>
  withHost(async ({ root, host, sync }) => {
    const repository = host.create('flows', { 'a.json': '1\n' })
    await sync('one', { push: false })
    save(root, 'one', 'mine.json', 'mine\n')
    await sync('one', { push: false })
    const head = repository.commit({ 'b.json': '2\n' })
    await sync('one', { push: false })
    assert.equal(files(root, 'one'), ['a.json', 'b.json', 'mine.json'])
    assert.is(git(`${root}/host/flows.git`, 'rev-parse', 'main'), head)
  }))

test('a history that its host has rewritten replaces the old one, and edits of the machine stay on top', () =>
  withHost(async ({ root, host, sync }) => {
    const repository = host.create('flows', { 'a.json': '1\n', 'secret.json': 'must go\n' })
    await sync('one')
    await sync('two', { push: false })
    save(root, 'two', 'mine.json', 'mine\n')
    await sync('two', { push: false })
    const clean = repository.rewrite({ 'a.json': '2\n' })
    assert.match(await sync('one'), /its host has rewritten the history/)
    assert.equal(files(root, 'one'), ['a.json'])
    await sync('two', { push: true })
    assert.equal(files(root, 'two'), ['a.json', 'mine.json'])
    assert.is(git(`${root}/host/flows.git`, 'rev-parse', 'main~1'), clean, 'the old history is not pushed again')
  }))

test('only the wanted part of a repository is taken, beside files that are not its own', () =>
  withHost(async ({ root, host, sync, shown }) => {
    host.create('flows', { 'workflows/a.json': '1\n', 'other/huge.txt': 'x\n', 'README.md': 'x\n' })
    const shared = `${root}/one/workspace/shared`
    mkdirSync(`${shared}/models`, { recursive: true })
    writeFileSync(`${shared}/models/m.bin`, 'a model')
    const part = { part: 'workflows' }
    await sync('one', part)
    assert.equal(readdirSync(shared).sort(), ['models', 'workflows'])
    save(root, 'one', 'b.json', '2\n')
    await sync('one', part)
    assert.is(shown('main:workflows/b.json'), '2')
    assert.is(shown('main:other/huge.txt'), 'x', 'the rest of it is as it was')
    assert.throws(() => shown('main:models/m.bin'))
    assert.is(readFileSync(`${shared}/models/m.bin`, 'utf8'), 'a model')
  }))

test('a host that is away fails the task and loses nothing; an empty repository gets its first branch', async () => {
  const root = temporaryDirectory()
  const away = planOf(root, 'one', 'http://127.0.0.1:1/flows.git')
  save(root, 'one', 'a.json', 'mine\n')
  const run = await runInProcess(away, 'workflows', workflowsTask)
  assert.is(run.code, 1)
  assert.match(run.text, /cannot read "http:\/\/127\.0\.0\.1:1\/flows\.git"/)
  const gitDirectory = `${root}/one/workspace/.machine/provision/workflows.git`
  assert.is(git(root, `--git-dir=${gitDirectory}`, 'show', 'HEAD:a.json'), 'mine', 'it is committed')
  assert.not(existsSync(`${folder(root, 'one')}/.git`))
  mkdirSync(`${root}/bare.git`)
  git(`${root}/bare.git`, 'init', '--quiet', '--bare')
  const first = await runInProcess(planOf(root, 'one', `file://${root}/bare.git`), 'workflows', workflowsTask)
  assert.is(first.code, 0, first.text)
  assert.is(git(`${root}/bare.git`, 'show', 'main:a.json'), 'mine')
})

test.run()
