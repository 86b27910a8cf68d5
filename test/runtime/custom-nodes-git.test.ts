import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { findUser, isRoot } from '../../runtime/provision/account.ts'
import { customNodesTask } from '../../runtime/provision/custom-nodes/custom-nodes-task.ts'
import type { NodeRecord } from '../../runtime/provision/custom-nodes/node-record.ts'
import { runCommand } from '../../runtime/provision/framework/run-command.ts'
import { runTask } from '../../runtime/provision/framework/run-task.ts'
import { type GitHost, git, startGitHost } from '../fixtures/git-host.ts'
import { type NodePlanOptions, type NodeSpec, nodePlan, nodesOf, runInProcess } from '../fixtures/node-plan.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const INIT = { '__init__.py': 'NODE_CLASS_MAPPINGS = {}\n' }

async function withHost(use: (host: GitHost, root: string) => Promise<void>, options = {}): Promise<void> {
  const root = temporaryDirectory()
  const host = await startGitHost(`${root}/host`, options)
  try {
    await use(host, root)
  } finally {
    await host.close()
  }
}

const provision = (
  root: string,
  nodes: readonly NodeSpec[],
  options: NodePlanOptions = {},
  environment: Record<string, string> = {},
) => runInProcess(nodePlan(root, nodes, options), 'custom-nodes', customNodesTask([10]), environment)

const report = (root: string): Record<string, NodeRecord> =>
  JSON.parse(readFileSync(`${root}/workspace/.machine/provision/custom-nodes.json`, 'utf8')).entries

const headOf = (root: string, name: string) => git(`${nodesOf(root)}/${name}`, 'rev-parse', 'HEAD')
const read = (root: string, path: string) => readFileSync(`${nodesOf(root)}/${path}`, 'utf8')

test('a node is cloned without its history, and left alone when nothing has changed', async () => {
  await withHost(async (host, root) => {
    const repository = host.create('frames', INIT)
    const head = repository.commit({ 'nodes.py': 'x = 1\n' })
    const url = host.httpUrl('frames')
    const first = await provision(root, [{ url }])
    assert.is(first.code, 0, first.text)
    assert.is(headOf(root, 'frames'), head)
    assert.is(git(`${nodesOf(root)}/frames`, 'rev-list', '--count', 'HEAD'), '1')
    assert.is(git(`${nodesOf(root)}/frames`, 'symbolic-ref', '--short', 'HEAD'), 'main')
    const before = statSync(`${nodesOf(root)}/frames/nodes.py`).mtimeMs
    const second = await provision(root, [{ url }])
    assert.match(second.text, /"item":"frames","status":"skipped"/)
    assert.is(statSync(`${nodesOf(root)}/frames/nodes.py`).mtimeMs, before)
    assert.equal([report(root).frames!.status, report(root).frames!.commit], ['ok', head])
    assert.equal(readdirSync(nodesOf(root)), ['frames'])
  })
})

test('a branch, a tag, a commit and the beginning of one', async () => {
  await withHost(async (host, root) => {
    const repository = host.create('many', INIT)
    const old = repository.commit({ 'a.py': 'old\n' })
    repository.git('tag', '-a', 'v1', '-m', 'v1', old)
    repository.git('push', '-q', 'origin', 'v1')
    const branch = repository.commit({ 'a.py': 'branch\n' }, 'feature/x')
    const head = repository.commit({ 'a.py': 'new\n' })
    const url = host.httpUrl('many')
    const nodes = [
      { url, name: 'head' },
      { url, name: 'branch', branch: 'feature/x' },
      { url, name: 'tag', branch: 'v1' },
      { url, name: 'commit', commit: old },
      { url, name: 'short', commit: old.slice(0, 8) },
    ]
    const run = await provision(root, nodes)
    assert.is(run.code, 0, run.text)
    assert.equal(
      nodes.map(({ name }) => headOf(root, name)),
      [head, branch, old, old, old],
    )
    assert.is(git(`${nodesOf(root)}/branch`, 'symbolic-ref', '--short', 'HEAD'), 'feature/x')
    host.asked.length = 0
    await provision(root, nodes.slice(3))
    assert.equal(host.asked, [], 'nobody is asked for a commit that is there')
  })
})

test('a plain web server without single commits, and files as hosts, will do', async () => {
  await withHost(
    async (host, root) => {
      const repository = host.create('plain', INIT)
      const old = repository.commit({ 'a.py': '1\n' })
      const head = repository.commit({ 'a.py': '2\n' })
      const run = await provision(root, [
        { url: host.httpUrl('plain') },
        { url: host.httpUrl('plain'), name: 'pinned', commit: old },
        { url: host.fileUrl('plain'), name: 'file', commit: old },
      ])
      assert.is(run.code, 0, run.text)
      assert.equal([headOf(root, 'plain'), headOf(root, 'pinned'), headOf(root, 'file')], [head, old, old])
    },
    { isDumb: true },
  )
})

test('a branch that moved is followed, and so is one whose history was rewritten', async () => {
  await withHost(async (host, root) => {
    const repository = host.create('moving', INIT)
    const url = host.httpUrl('moving')
    await provision(root, [{ url }])
    writeFileSync(`${nodesOf(root)}/moving/cache.bin`, 'kept')
    const moved = repository.commit({ 'new.py': 'x\n' })
    const update = await provision(root, [{ url }])
    assert.match(update.text, /"status":"changed"/)
    assert.is(headOf(root, 'moving'), moved)
    const rewritten = repository.rewrite({ ...INIT, 'other.py': 'y\n' })
    const after = await provision(root, [{ url }])
    assert.is(after.code, 0, after.text)
    assert.is(headOf(root, 'moving'), rewritten)
    assert.not(existsSync(`${nodesOf(root)}/moving/new.py`))
    assert.is(read(root, 'moving/cache.bin'), 'kept', 'what a node wrote stays')
    assert.not.match(after.text, /local-/, 'nobody had edited anything')
  })
})

test('edits stay where the commit stays, and are kept on a branch and as a patch where it moves', async () => {
  await withHost(async (host, root) => {
    const repository = host.create('edited', { ...INIT, 'a.py': 'one\n' })
    const url = host.httpUrl('edited')
    await provision(root, [{ url }])
    writeFileSync(`${nodesOf(root)}/edited/a.py`, 'my edit\n')
    await provision(root, [{ url }])
    assert.is(read(root, 'edited/a.py'), 'my edit\n')
    const head = repository.commit({ 'a.py': 'two\n' })
    const run = await provision(root, [{ url }])
    assert.is(run.code, 0)
    assert.is(headOf(root, 'edited'), head)
    assert.is(read(root, 'edited/a.py'), 'two\n')
    const [, branch] = /its local edits are kept on its branch "(local-[\d-]+)"/.exec(run.text)!
    assert.is(git(`${nodesOf(root)}/edited`, 'show', `${branch}:a.py`), 'my edit')
    const patches = `${root}/workspace/.machine/provision/local-edits`
    assert.match(readFileSync(`${patches}/${readdirSync(patches)[0]}`, 'utf8'), /\+my edit/)
  })
})

test('commits of the machine, and files in the way, are kept', async () => {
  await withHost(async (host, root) => {
    const repository = host.create('worked', { ...INIT, 'a.py': 'one\n' })
    const url = host.httpUrl('worked')
    await provision(root, [{ url }])
    const directory = `${nodesOf(root)}/worked`
    writeFileSync(`${directory}/a.py`, 'mine\n')
    git(directory, 'commit', '--quiet', '--all', '--message', 'Mine')
    const mine = git(directory, 'rev-parse', 'HEAD')
    writeFileSync(`${directory}/extra.py`, 'my own file\n')
    mkdirSync(`${directory}/data`)
    writeFileSync(`${directory}/data/x`, 'my data\n')
    const head = repository.rewrite({ ...INIT, 'extra.py': 'theirs\n', data: 'a file now\n' })
    const run = await provision(root, [{ url }])
    assert.is(run.code, 0, run.text)
    assert.is(headOf(root, 'worked'), head)
    assert.match(run.text, /its local commits are kept on its branch "local-/)
    assert.match(git(directory, 'branch', '--contains', mine), /local-/)
    assert.match(run.text, /were in the way and are now in/)
    const aside = readdirSync(directory).find((name) => name.startsWith('local-'))!
    assert.is(readFileSync(`${directory}/${aside}/extra.py`, 'utf8'), 'my own file\n')
    assert.is(readFileSync(`${directory}/${aside}/data/x`, 'utf8'), 'my data\n')
    assert.is(read(root, 'worked/data'), 'a file now\n')
  })
})

test('submodules come along where that is asked for, and edits in them are moved aside with the node', async () => {
  await withHost(async (host, root) => {
    const inner = host.create('inner', { 'lib.py': 'inner\n' })
    const outer = host.create('outer', INIT)
    outer.git('submodule', '--quiet', 'add', host.fileUrl('inner'), 'lib')
    const pinned = outer.commit({})
    const url = host.httpUrl('outer')
    const nodes = [
      { url, recursive: true },
      { url, name: 'without' },
    ]
    const run = await provision(root, nodes)
    assert.is(run.code, 0, run.text)
    assert.is(headOf(root, 'outer'), pinned)
    assert.is(read(root, 'outer/lib/lib.py'), 'inner\n')
    assert.not(existsSync(`${nodesOf(root)}/without/lib/lib.py`))
    inner.commit({ 'lib.py': 'inner two\n' })
    outer.git('submodule', '--quiet', 'update', '--remote')
    outer.commit({})
    writeFileSync(`${nodesOf(root)}/outer/lib/lib.py`, 'edited inside\n')
    const second = await provision(root, nodes)
    assert.is(second.code, 0, second.text)
    assert.is(read(root, 'outer/lib/lib.py'), 'inner two\n')
    const aside = readdirSync(nodesOf(root)).find((name) => name.startsWith('outer.local-'))!
    assert.match(aside, /\.disabled$/, 'ComfyUI does not load it')
    assert.is(read(root, `${aside}/lib/lib.py`), 'edited inside\n')
  })
})

test('what is no clone is left alone and said, a damaged clone is moved aside, and an interrupted one is finished', async () => {
  await withHost(async (host, root) => {
    const repository = host.create('a', { ...INIT, 'a.py': 'one\n' })
    const nodes = ['hand', 'link', 'broken', 'killed'].map((name) => ({ url: host.httpUrl('a'), name }))
    await provision(root, nodes.slice(2))
    mkdirSync(`${nodesOf(root)}/hand`)
    writeFileSync(`${nodesOf(root)}/hand/mine.py`, 'mine')
    symlinkSync('/nowhere', `${nodesOf(root)}/link`)
    writeFileSync(`${nodesOf(root)}/broken/.git/HEAD`, 'nonsense')
    const head = repository.commit({ 'a.py': 'two\n' })
    const killed = `${nodesOf(root)}/killed`
    writeFileSync(`${killed}/.git/machinegen-update`, head)
    writeFileSync(`${killed}/.git/index.lock`, '')
    writeFileSync(`${killed}/a.py`, 'half')
    const run = await provision(root, nodes)
    assert.is(run.code, 0, run.text)
    assert.match(run.text, /"hand": it is no clone of a repository/)
    assert.match(run.text, /"link": it is a symbolic link/)
    assert.is(read(root, 'hand/mine.py'), 'mine')
    assert.equal([headOf(root, 'broken'), headOf(root, 'killed')], [head, head])
    assert.is(read(root, 'killed/a.py'), 'two\n')
    assert.match(run.text, /its clone is damaged: it was moved to "broken.local-/)
    assert.not(existsSync(`${killed}/.git/machinegen-update`))
  })
})

test('one bad node stops no other; a required one makes the task fail', async () => {
  await withHost(async (host, root) => {
    host.create('good', INIT)
    host.create('empty', { 'README.md': 'no node\n' })
    const nodes = [
      { url: host.httpUrl('missing') },
      { url: host.httpUrl('good') },
      { url: host.httpUrl('good'), name: 'gone', branch: 'no-such' },
      { url: host.httpUrl('good'), name: 'unknown', commit: 'a'.repeat(40) },
      { url: host.httpUrl('empty') },
      { url: 'http://127.0.0.1:1/x.git', name: 'away' },
    ]
    const run = await provision(root, nodes)
    assert.is(run.code, 0, run.text)
    assert.match(run.text, /"missing": cannot read .*: there is no such repository/)
    assert.match(run.text, /"gone": cannot use .* it has no branch or tag "no-such"/)
    assert.match(run.text, /"unknown": .* its host does not have it|"unknown": cannot fetch/)
    assert.match(run.text, /"empty": ComfyUI cannot load it: it has no __init__.py/)
    assert.match(run.text, /1 of them failed, tries them again in 0.01 s/)
    assert.equal(
      Object.values(report(root))
        .map(({ status }) => status)
        .sort(),
      ['failed', 'failed', 'failed', 'failed', 'failed', 'ok'],
    )
    const failed = await provision(root, [{ ...nodes[0]!, required: true }, nodes[1]!])
    assert.is(failed.code, 1)
    assert.ok(existsSync(`${nodesOf(root)}/good/__init__.py`))
  })
})

test('a host that is away is no reason to do without a node that is there', async () => {
  const root = temporaryDirectory()
  const host = await startGitHost(`${root}/host`)
  host.create('a', INIT)
  const nodes = [{ url: host.httpUrl('a'), required: true }]
  await provision(root, nodes)
  await host.close()
  const run = await provision(root, nodes)
  assert.is(run.code, 0, run.text)
  assert.match(run.text, /it stays as it is: cannot read/)
})

test('a token goes to its host, and a protocol that is not allowed to none', async () => {
  await withHost(
    async (host, root) => {
      const inner = host.create('inner', { 'lib.py': 'x\n' })
      assert.ok(inner)
      const repository = host.create('private', INIT)
      repository.git('submodule', '--quiet', 'add', host.fileUrl('inner'), 'lib')
      writeFileSync(
        `${root}/host/.work-private/.gitmodules`,
        `[submodule "lib"]\npath = lib\nurl = ${host.httpUrl('inner')}\n`,
      )
      repository.commit({})
      const plan = nodePlan(root, [{ url: host.httpUrl('private'), recursive: true }], {
        git: { credentials: [{ host: host.address, user: 'me', tokenSecret: 'git.0.token' }] },
      })
      const secret = {
        name: 'git.0.token',
        field: '/git',
        source: { kind: 'reference' as const, template: '${TOKEN}' },
      }
      const withToken = { ...plan, secrets: [secret] }
      const wrong = await runInProcess(withToken, 'custom-nodes', customNodesTask([]), { TOKEN: 'wrong' })
      assert.match(wrong.text, /the credential for its host does not open it|its host wants a login/)
      const run = await runInProcess(withToken, 'custom-nodes', customNodesTask([]), { TOKEN: 'right' })
      assert.is(run.code, 0, run.text)
      assert.is(read(root, 'private/lib/lib.py'), 'x\n')
      assert.not.match(readFileSync(`${nodesOf(root)}/private/.git/config`, 'utf8'), /right|Authorization/)
      assert.not.match(run.text, /right/)
      const none = await provision(root, [{ url: host.httpUrl('private'), name: 'none' }])
      assert.match(none.text, /its host wants a login/)
      const refused = await provision(root, [{ url: host.fileUrl('private'), name: 'file' }], {
        git: { protocols: ['https'] },
      })
      assert.match(refused.text, /git may not use that protocol here/)
    },
    { login: 'me:right' },
  )
})

const nobody = isRoot() ? findUser('nobody') : null
const asRoot = nobody === null ? test.skip : test

asRoot('nodes belong to the user of ComfyUI, and are updated all the same', async () => {
  await withHost(async (host, root) => {
    const repository = host.create('owned', { ...INIT, 'sub/a.py': 'one\n' })
    const nodes = [{ url: host.httpUrl('owned'), environment: { A: 'x y' } }]
    const options = { customNodes: { user: 'nobody' } }
    await provision(root, nodes, options)
    const owners = (paths: readonly string[]) => paths.map((path) => statSync(`${nodesOf(root)}/${path}`).uid)
    const paths = ['owned', 'owned/sub/a.py', 'owned/.git/config', 'owned/.env']
    assert.equal(new Set(owners(paths)), new Set([nobody!.uid]))
    assert.is(statSync(`${nodesOf(root)}/owned/.env`).mode & 0o777, 0o600)
    const head = repository.commit({ 'sub/a.py': 'two\n' })
    const run = await provision(root, nodes, options)
    assert.is(run.code, 0, run.text)
    assert.match(readFileSync(`${nodesOf(root)}/owned/.git/HEAD`, 'utf8'), /refs\/heads\/main/)
    assert.is(readFileSync(`${nodesOf(root)}/owned/.git/refs/heads/main`, 'utf8').trim(), head)
    assert.equal(new Set(owners(paths)), new Set([nobody!.uid]))
  })
})

test('what does not end in its time is ended with all that it has started', async () => {
  const directory = temporaryDirectory()
  const startedMs = Date.now()
  const words = ['bash', '-c', 'sleep 97.5 & echo $! >child; sleep 98']
  const result = await runCommand(words, { cwd: directory, timeoutMs: 500 })
  assert.match(result.problem!, /did not end within 0.5 s/)
  assert.ok(Date.now() - startedMs < 20_000)
  const child = readFileSync(`${directory}/child`, 'utf8').trim()
  assert.not(existsSync(`/proc/${child}/cmdline`) && readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('97.5'))
})

test('a dry run says what would be done, and does nothing', async () => {
  const root = temporaryDirectory()
  const plan = nodePlan(root, [{ url: 'https://example.com/frames', branch: 'v1', requirements: true }])
  let said = ''
  const stdout = { write: (text: string) => (said += text) }
  const request = { task: 'custom-nodes', plan, environment: {}, dryRun: true, json: false, stdout }
  assert.is(await runTask(request, customNodesTask()), 0)
  const path = `${nodesOf(root)}/frames`
  assert.is(said, `clone "${path}" from https://example.com/frames, branch v1, with its requirements\n`)
  assert.equal(readdirSync(nodesOf(root)), [])
})

test.run()
