import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Compilation, compile } from '../../generator/compile.ts'
import { startGitHost } from '../fixtures/git-host.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

function compileWith(more: object, services: object = { comfyui: {} }, lock: object | null = null): Compilation {
  const document = { machine: { id: 'm', gpu: { count: 1 } }, services, ...more }
  return compile({
    sources: [{ file: 'machine.json', text: JSON.stringify(document) }],
    lock: lock === null ? null : { file: 'machine.lock.json', text: JSON.stringify(lock) },
  })
}

const NODE = { url: 'git clone https://github.com/example/frames.git' }
const nodes = (...list: object[]) => ({ customNodes: { nodes: list } })
const messages = ({ diagnostics }: Compilation) =>
  diagnostics.map(({ code, message }) => `${code}: ${message}`).join('\n')

test('nodes are a task that ComfyUI waits for, and workflows one that nothing waits for', () => {
  const { plan, diagnostics } = compileWith({
    ...nodes(NODE),
    workflows: { repository: 'git@github.com:example/flows.git', interval: '1m' },
  })
  assert.equal(diagnostics, [])
  const service = (name: string) => plan!.services.find((one) => one.name === name)!
  assert.ok(service('comfyui-gpu0').waitsFor.includes('custom-nodes'))
  assert.equal(
    [service('custom-nodes').kind, service('workflows').kind, service('workflows-sync').kind],
    ['task', 'task', 'longrun'],
  )
  assert.ok(service('workflows').optional && service('workflows-sync').optional)
  for (const { name, waitsFor } of plan!.services)
    assert.not(
      waitsFor.some((other) => other.startsWith('workflows')),
      name,
    )
  const [node] = plan!.provisioning.customNodes!.nodes
  assert.equal([node!.name, node!.url], ['frames', 'https://github.com/example/frames.git'])
})

test('a list on the volume is looked for below the shared directory', () => {
  const file = (customNodes: object, paths: object) =>
    compileWith({ customNodes, paths }).plan!.provisioning.customNodes!.file
  assert.is(file({ file: 'config_nodes.json' }, {}), '/workspace/shared/config_nodes.json')
  assert.is(file({ file: 'a/b.json' }, { shared: '/mnt/shared' }), '/mnt/shared/a/b.json')
  assert.is(file({ file: '/workspace/b.json' }, {}), '/workspace/b.json')
})

test('variables of nodes stay references, and what is secret stays out of the plan', () => {
  const env = { HF_TOKEN: 'hf_literal', AWS_KEY: '${AWS_KEY}', CACHE: '/cache' }
  const { plan, diagnostics } = compileWith(nodes({ ...NODE, env }))
  const [node] = plan!.provisioning.customNodes!.nodes
  assert.equal(node!.environment, { AWS_KEY: '${AWS_KEY}', CACHE: '/cache' })
  assert.equal(node!.secretEnvironment, { HF_TOKEN: 'customNodes.0.HF_TOKEN' })
  assert.equal(
    diagnostics.map(({ code }) => code),
    ['LITERAL_SECRET'],
  )
  assert.not.match(JSON.stringify(plan), /hf_literal/)
})

const REFUSED: readonly [string, object, RegExp][] = [
  ['a credential in a URL', nodes({ url: 'https://me:secret@github.com/a/b' }), /^UNSAFE_VALUE: .*git\.credentials$/],
  ['a name that leads out', nodes({ ...NODE, name: '../x' }), /^INVALID_VALUE: .*nodes\[0\]\.name: .*leads out/],
  ['an option for a branch', nodes({ ...NODE, branch: '--x' }), /^INVALID_VALUE: .*nodes\[0\]\.branch/],
  ['a protocol that git may not use', nodes({ url: 'file:///srv/x.git' }), /^INVALID_VALUE: .*may not use file/],
  ['two of one name', nodes(NODE, { ...NODE, branch: 'x' }), /^NAME_CONFLICT: .*customNodes\.nodes\[1\] as "frames"/],
  [
    'a repository of workflows that is none',
    { workflows: { repository: 'ext::x' } },
    /^INVALID_VALUE: .*workflows\.repository/,
  ],
]

for (const [title, more, message] of REFUSED) {
  test(`${title} is an error`, () => {
    const compilation = compileWith(more)
    assert.match(messages(compilation), message)
    assert.not.match(messages(compilation), /secret/)
  })
}

test('nodes without ComfyUI are a warning, and no task', () => {
  const compilation = compileWith(nodes(NODE), { nginx: {} })
  assert.match(messages(compilation), /^DEPENDENCY_DISABLED: cannot install "customNodes"/)
  assert.is(compilation.plan!.provisioning.customNodes, null)
  assert.not(compilation.plan!.services.some(({ name }) => name === 'custom-nodes'))
})

test('a lock pins the commits of nodes, and one that lacks a node is stale', () => {
  const commit = 'c0ffee'.padEnd(40, '0')
  const url = 'https://github.com/example/frames.git'
  const lock = { version: 1, models: [], nodes: [{ url, branch: null, commit }] }
  assert.is(compileWith(nodes(NODE), undefined, lock).plan!.provisioning.customNodes!.nodes[0]!.commit, commit)
  assert.match(
    messages(compileWith(nodes({ ...NODE, branch: 'x' }), undefined, lock)),
    /^LOCK_STALE: .*does not have it/,
  )
  assert.match(
    messages(compileWith(nodes({ ...NODE, commit: 'abcdef1' }), undefined, lock)),
    /^LOCK_STALE: .*another commit/,
  )
  assert.is(messages(compileWith(nodes(NODE), undefined, { version: 1, models: [] })), '', 'a lock of before')
  assert.match(messages(compileWith(nodes(NODE), undefined, { version: 1, models: [], nodes: [{}] })), /^LOCK_INVALID/)
})

test('lock asks the hosts of nodes for their commits', async () => {
  const directory = temporaryDirectory()
  const host = await startGitHost(`${directory}/host`)
  try {
    const repository = host.create('frames', { '__init__.py': '' })
    const branch = repository.commit({ 'a.py': '1' }, 'next')
    const head = repository.commit({ 'a.py': '2' })
    const url = host.httpUrl('frames')
    const machine = {
      machine: { id: 'm' },
      services: { comfyui: {} },
      ...nodes({ url }, { url, name: 'b', branch: 'next' }, { url, name: 'c', commit: branch }),
      git: { protocols: ['http'] },
    }
    writeFileSync(`${directory}/machine.json`, JSON.stringify(machine))
    const command = ['--import', resolve('node_modules/tsx/dist/loader.mjs'), resolve('test/fixtures/unbundled-cli.ts')]
    const child = spawn(process.execPath, [...command, 'lock', 'machine.json'], {
      cwd: directory,
      env: { PATH: process.env.PATH, HOME: directory },
    })
    let said = ''
    child.stderr.on('data', (text) => (said += text))
    assert.is((await once(child, 'close'))[0], 0, said)
    assert.match(said, /2 custom nodes, written/)
    const locked = [
      { url, branch: null, commit: head },
      { url, branch: 'next', commit: branch },
    ]
    assert.equal(JSON.parse(readFileSync(`${directory}/machine.lock.json`, 'utf8')), {
      version: 1,
      models: [],
      nodes: locked,
    })
  } finally {
    await host.close()
  }
})

test.run()
