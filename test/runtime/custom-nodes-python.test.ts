import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { customNodesTask } from '../../runtime/provision/custom-nodes/custom-nodes-task.ts'
import type { NodeRecord } from '../../runtime/provision/custom-nodes/node-record.ts'
import { type GitHost, startGitHost } from '../fixtures/git-host.ts'
import { type NodeSpec, nodePlan, nodesOf, runInProcess, type TaskRun } from '../fixtures/node-plan.ts'
import { hasVenv, makeVenv, makeWheel, versionIn } from '../fixtures/python-packages.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const INIT = { '__init__.py': 'NODE_CLASS_MAPPINGS = {}\n' }

interface Bench {
  readonly root: string
  readonly host: GitHost
  readonly python: string
  readonly wheels: string
  readonly provision: (nodes: readonly NodeSpec[], environment?: Record<string, string>) => Promise<TaskRun>
}

/** Made once: a Python takes its time. */
const base = temporaryDirectory()
const made = { wheels: `${base}/wheels`, venv: `${base}/venv` }

test.before(() => {
  const { wheels, venv } = made
  if (!hasVenv) return
  for (const version of ['2.7.0', '2.8.0']) makeWheel(wheels, 'torch', version)
  for (const version of ['1.26.4', '2.1.0']) makeWheel(wheels, 'numpy', version)
  makeWheel(wheels, 'framekit', '1.2.0', 'numpy>=1.20')
  makeWheel(wheels, 'oldmath', '0.9.0', 'numpy<2')
  makeWheel(wheels, 'hungry', '1.0.0', 'torch')
  makeVenv(venv, wheels, 'torch==2.7.0', 'numpy==2.1.0')
})

/** A copy of it is one of its own: Python finds its packages by where it is started. */
function copyVenv(root: string): string {
  rmSync(`${root}/venv`, { recursive: true, force: true })
  cpSync(made.venv, `${root}/venv`, { recursive: true, verbatimSymlinks: true })
  return `${root}/venv/bin/python`
}

async function withPython(use: (bench: Bench) => Promise<void>): Promise<void> {
  const root = temporaryDirectory()
  const { wheels } = made
  const python = copyVenv(root)
  const host = await startGitHost(`${root}/host`)
  const provision: Bench['provision'] = (nodes, environment = {}) => {
    const plan = nodePlan(root, nodes, { customNodes: { python: { command: python, directory: root } } })
    const pip = { PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels }
    return runInProcess(plan, 'custom-nodes', customNodesTask([]), { ...pip, ...environment })
  }
  try {
    await use({ root, host, python, wheels, provision })
  } finally {
    await host.close()
  }
}

const report = (root: string): Record<string, NodeRecord> =>
  JSON.parse(readFileSync(`${root}/workspace/.machine/provision/custom-nodes.json`, 'utf8')).entries

const installs = (run: TaskRun) => run.text.split('\n').filter((line) => line.includes('Successfully installed'))

const withVenv = hasVenv ? test : test.skip
if (!hasVenv) console.log('python3-venv is missing: what takes a Python of its own is skipped')

withVenv('requirements are installed once for what they are, and again where the packages are gone', () =>
  withPython(async ({ root, host, python, provision }) => {
    host.create('frames', {
      ...INIT,
      'requirements.txt': '# tools\nframekit>=1  # for frames\n-r more.txt\n',
      'more.txt': 'hungry\n',
    })
    const nodes = [
      { url: host.httpUrl('frames'), requirements: true },
      { url: host.httpUrl('frames'), name: 'twin' },
    ]
    const first = await provision(nodes)
    assert.is(first.code, 0, first.text)
    assert.is(installs(first).length, 1)
    assert.equal([versionIn(python, 'framekit'), versionIn(python, 'hungry')], ['1.2.0', '1.0.0'])
    assert.equal([versionIn(python, 'torch'), versionIn(python, 'numpy')], ['2.7.0', '2.1.0'], 'the stack stays')
    const second = await provision(nodes)
    assert.not.match(second.text, /installing the requirements/)
    writeFileSync(`${nodesOf(root)}/frames/more.txt`, 'hungry>=1\n')
    assert.match((await provision(nodes)).text, /installing the requirements/, 'a file that they refer to has changed')
    copyVenv(root)
    const recreated = await provision(nodes)
    assert.is(installs(recreated).length, 1, 'a new container has none of them')
    assert.is(versionIn(python, 'framekit'), '1.2.0')
  }),
)

withVenv('requirements that would change the GPU stack fail with what stays, and stop no other node', () =>
  withPython(async ({ root, host, python, provision }) => {
    host.create('old', { ...INIT, 'requirements.txt': 'oldmath\n' })
    host.create('pinned', { ...INIT, 'requirements.txt': 'torch==2.8.0\n' })
    host.create('fine', { ...INIT, 'requirements.txt': 'framekit\n' })
    const nodes = ['old', 'pinned', 'fine'].map((name) => ({ url: host.httpUrl(name), requirements: true }))
    const run = await provision(nodes)
    assert.is(run.code, 0, run.text)
    assert.match(run.text, /"old": cannot install its requirements: .*what the image has stays: .*numpy 2\.1\.0/)
    assert.match(run.text, /"pinned": cannot install its requirements: .*what the image has stays: torch 2\.7\.0/)
    const { old, pinned, fine } = report(root)
    assert.equal([old!.status, pinned!.status, fine!.status], ['failed', 'failed', 'ok'])
    assert.equal([versionIn(python, 'torch'), versionIn(python, 'numpy')], ['2.7.0', '2.1.0'])
    assert.is(versionIn(python, 'framekit'), '1.2.0')
  }),
)

withVenv('what pip was told and did not do is found out, and so is a node that Python cannot read', () =>
  withPython(async ({ root, host, python, provision }) => {
    host.create('frames', { ...INIT, 'requirements.txt': 'framekit>=1\nnone; python_version < "3"\n' })
    host.create('typo', { '__init__.py': 'def broken(:\n' })
    const nodes = [{ url: host.httpUrl('frames'), requirements: true }, { url: host.httpUrl('typo') }]
    const first = await provision(nodes)
    assert.match(first.text, /"typo": ComfyUI cannot load it: its __init__.py: .*invalid syntax/)
    assert.is(report(root).frames!.status, 'ok')
    makeWheel(`${root}/old`, 'framekit', '0.1.0')
    spawnSync(python, ['-m', 'pip', 'install', '-q', '--no-index', '--find-links', `${root}/old`, 'framekit==0.1.0'])
    const second = await provision(nodes)
    assert.match(second.text, /its requirements are not met: framekit>=1 \(installed: 0\.1\.0\)/)
    await provision(nodes)
    assert.is(versionIn(python, 'framekit'), '1.2.0', 'the next run installs them again')
  }),
)

withVenv('uv is taken where it is, and pip where uv fails', () =>
  withPython(async ({ root, host, python, provision }) => {
    host.create('frames', { ...INIT, 'requirements.txt': 'framekit\n' })
    host.create('more', { ...INIT, 'requirements.txt': 'hungry\n' })
    const bin = `${root}/bin`
    mkdirSync(bin)
    const uv = (ending: string) => {
      writeFileSync(`${bin}/uv`, `#!/bin/sh\necho "$@" >>${root}/uv-calls\nshift 4\n${ending}\n`)
      chmodSync(`${bin}/uv`, 0o755)
    }
    const environment = { PATH: `${bin}:${process.env.PATH}` }
    uv(`exec ${python} -m pip install "$@"`)
    assert.is((await provision([{ url: host.httpUrl('frames'), requirements: true }], environment)).code, 0)
    const calls = readFileSync(`${root}/uv-calls`, 'utf8')
    assert.match(
      calls,
      new RegExp(`^pip install --python ${python} --requirement \\S+/frames/requirements.txt --constraint \\S+`),
    )
    assert.is(versionIn(python, 'framekit'), '1.2.0')
    uv('exit 1')
    const run = await provision([{ url: host.httpUrl('more'), requirements: true }], environment)
    assert.is(report(root).more!.status, 'ok', run.text)
    assert.is(versionIn(python, 'hungry'), '1.0.0')
  }),
)

withVenv(
  'a script runs once for each state of its node, with its variables and without the secrets of the machine',
  () =>
    withPython(async ({ root, host, provision }) => {
      const repository = host.create('styler', { ...INIT, 'a.py': 'one\n', 'install.sh': 'echo file >>runs\n' })
      const script = 'echo "$STYLE $SECRET_TOKEN- $(command -v python)" >>runs; echo said; echo patched >a.py'
      const nodes = [
        { url: host.httpUrl('styler'), customScript: script, environment: { STYLE: '${STYLE}' } },
        { url: host.httpUrl('styler'), name: 'file', customScript: 'install.sh' },
        { url: host.httpUrl('styler'), name: 'bad', customScript: 'echo why >&2; exit 3' },
      ]
      const machine = { STYLE: 'baroque', SECRET_TOKEN: 'hidden' }
      const first = await provision(nodes, machine)
      assert.is(first.code, 0, first.text)
      assert.match(first.text, /styler: said/)
      assert.match(first.text, /"bad": cannot run its custom_script: it ends with 3: why/)
      const runs = () =>
        readFileSync(`${nodesOf(root)}/styler/runs`, 'utf8')
          .trim()
          .split('\n')
      assert.equal(runs(), [`baroque - ${root}/venv/bin/python`])
      assert.is(readFileSync(`${nodesOf(root)}/file/runs`, 'utf8'), 'file\n')
      await provision(nodes, machine)
      assert.is(runs().length, 1)
      repository.commit({ 'a.py': 'two\n' })
      const third = await provision(nodes, machine)
      assert.is(runs().length, 2)
      assert.not.match(third.text, /local edits/, "what its script changed is nobody's work")
    }),
)

test('variables go to a file for its owner alone, and one of somebody else is kept', async () => {
  const root = temporaryDirectory()
  const host = await startGitHost(`${root}/host`)
  try {
    host.create('cloud', INIT)
    const environment = {
      KEY: '${CLOUD_KEY}',
      NONE: '${NOT_SET}',
      DEFAULT: '${NOT_SET:-fallback}',
      EVIL: '$(touch pwned) `id` ${CLOUD_KEY}',
      QUOTED: "it's",
    }
    const nodes = [{ url: host.httpUrl('cloud'), environment }]
    const file = `${nodesOf(root)}/cloud/.env`
    const provision = () =>
      runInProcess(nodePlan(root, nodes), 'custom-nodes', customNodesTask([]), { CLOUD_KEY: 'se$cret' })
    const run = await provision()
    assert.is(run.code, 0, run.text)
    assert.is(statSync(file).mode & 0o777, 0o600)
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    assert.equal(lines, [
      'DEFAULT=fallback',
      "EVIL='$(touch pwned) `id` se$cret'",
      "KEY='se$cret'",
      'NONE=',
      'QUOTED="it\'s"',
    ])
    assert.match(run.text, /NOT_SET of its env is not set: empty/)
    assert.not.match(run.text, /se\$cret/)
    assert.not(existsSync(`${nodesOf(root)}/cloud/pwned`))
    writeFileSync(file, 'MINE=1\n')
    assert.match((await provision()).text, /its own ".env" was moved to ".env.local-/)
  } finally {
    await host.close()
  }
})

test.run()
