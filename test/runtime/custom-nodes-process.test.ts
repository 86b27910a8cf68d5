import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Plan } from '../../schema/plan.ts'
import { git, startGitHost } from '../fixtures/git-host.ts'
import { gitSettings, nodePlan, nodesOf } from '../fixtures/node-plan.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const INIT = { '__init__.py': '' }

function start(
  plan: Plan,
  task: string,
  environment: Record<string, string> = {},
): ChildProcess & { said: () => string } {
  const file = `${plan.paths.root}/plan.json`
  writeFileSync(file, JSON.stringify(plan))
  const words = ['--import', 'tsx', 'runtime/provision/main.ts', task, '--plan', file]
  const child = spawn(process.execPath, words, { detached: true, env: { ...process.env, ...environment } })
  let text = ''
  const hear = (piece: Buffer) => {
    text += piece
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  return Object.assign(child, { said: () => text })
}

test('killed at random moments, nodes end as they should, and edits are still there', async () => {
  const root = temporaryDirectory()
  const host = await startGitHost(`${root}/host`)
  try {
    const names = ['a', 'b', 'c', 'd', 'e']
    const large = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`d/${index}.txt`, `${index}\n`.repeat(99)]),
    )
    const repositories = names.map((name) => host.create(name, { ...INIT, ...large }))
    const plan = nodePlan(
      root,
      names.map((name) => ({ url: host.httpUrl(name) })),
    )
    const heads: string[] = []
    const seed = Math.floor(Math.random() * 2 ** 31)
    console.log(`seed ${seed}`)
    let state = seed
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
      return state % below
    }
    for (let kill = 0; kill < 8; kill += 1) {
      for (const [index, repository] of kill > 2 ? repositories.entries() : [])
        heads[index] = repository.rewrite({ ...INIT, ...large, 'v.txt': `${kill}` })
      if (kill === 6) {
        assert.is((await once(start(plan, 'custom-nodes'), 'exit'))[0], 0)
        writeFileSync(`${nodesOf(root)}/a/v.txt`, 'my edit')
        heads[0] = repositories[0]!.commit({ 'v.txt': 'theirs' })
      }
      const child = start(plan, 'custom-nodes')
      await delay(400 + random(1200))
      try {
        process.kill(-child.pid!, 'SIGKILL')
      } catch {
        // It had ended.
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
    const last = start(plan, 'custom-nodes')
    assert.is((await once(last, 'exit'))[0], 0, last.said())
    names.forEach((name, index) => {
      const directory = `${nodesOf(root)}/${name}`
      assert.is(git(directory, 'rev-parse', 'HEAD'), heads[index], `${name} (seed ${seed}): ${last.said()}`)
      assert.is(git(directory, 'status', '--porcelain'), '', `${name} (seed ${seed})`)
    })
    assert.equal(
      readdirSync(nodesOf(root)).filter((name) => name.endsWith('.new.disabled')),
      [],
    )
    const kept = git(`${nodesOf(root)}/a`, 'branch', '--list', 'local-*')
      .split('\n')
      .map((line) => line.trim())
    assert.ok(
      kept.some((branch) => git(`${nodesOf(root)}/a`, 'show', `${branch}:v.txt`) === 'my edit'),
      `${kept} (seed ${seed})`,
    )
  } finally {
    await host.close()
  }
})

test('a key is used for ssh and is for nobody else to read, and nobody is asked anything', async () => {
  const root = temporaryDirectory()
  const host = await startGitHost(`${root}/host`)
  try {
    const repository = host.create('private', INIT)
    const head = repository.commit({ 'a.py': '' })
    const bin = `${root}/bin`
    mkdirSync(bin)
    const fake = `#!/bin/bash\nprintf '%s\\n' "$@" >${root}/ssh-words\nfor word; do last=$word; done\neval "$last"\n`
    writeFileSync(`${bin}/ssh`, fake)
    chmodSync(`${bin}/ssh`, 0o755)
    const plan = nodePlan(root, [{ url: `git@example.com:${root}/host/private.git`, name: 'private' }], {
      git: { sshKeySecret: 'git.ssh-key', knownHosts: ['example.com ssh-ed25519 AAAA'] },
    })
    const template = '${GIT_SSH_KEY:-${CUT_PK_1:-}${CUT_PK_2:-}${CUT_PK_3:-}}'
    const secrets = [{ name: 'git.ssh-key', field: '/git/sshKey', source: { kind: 'reference' as const, template } }]
    const key = '-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5\n-----END OPENSSH PRIVATE KEY-----'
    const encoded = Buffer.from(key).toString('base64')
    const parts = { CUT_PK_1: encoded.slice(0, 20), CUT_PK_2: encoded.slice(20, 50), CUT_PK_3: encoded.slice(50) }
    const child = start({ ...plan, secrets }, 'custom-nodes', { ...parts, PATH: `${bin}:${process.env.PATH}` })
    assert.is((await once(child, 'exit'))[0], 0, child.said())
    assert.is(git(`${nodesOf(root)}/private`, 'rev-parse', 'HEAD'), head, child.said())
    const file = `${root}/run/git/ssh-key`
    assert.is(readFileSync(file, 'utf8'), `${key}\n`)
    assert.is(statSync(file).mode & 0o777, 0o600)
    const words = readFileSync(`${root}/ssh-words`, 'utf8').split('\n')
    for (const word of [
      file,
      'BatchMode=yes',
      'StrictHostKeyChecking=yes',
      `UserKnownHostsFile="${root}/run/git/known_hosts"`,
    ])
      assert.ok(words.includes(word), word)
  } finally {
    await host.close()
  }
})

test('what is saved while the machine runs is pushed after its interval', async () => {
  const root = temporaryDirectory()
  const host = await startGitHost(`${root}/host`)
  host.create('flows', { 'a.json': '1\n' })
  const base = nodePlan(root, [])
  const { paths, provisioning } = base
  const workflows = {
    repository: host.httpUrl('flows'),
    branch: 'main',
    workTree: `${paths.shared}/workflows`,
    part: null,
    push: true,
    intervalMs: 300,
    user: null,
  }
  const child = start({ ...base, provisioning: { ...provisioning, workflows, git: gitSettings() } }, 'workflows-sync')
  const until = async (what: string, isSo: () => boolean) => {
    const deadlineMs = Date.now() + 60_000
    while (!isSo()) {
      if (Date.now() > deadlineMs) throw new Error(`${what}: ${child.said()}`)
      await delay(100)
    }
  }
  const has = (path: string) => {
    try {
      return git(`${root}/host/flows.git`, 'show', `main:${path}`) !== ''
    } catch {
      return false
    }
  }
  try {
    await until('it begins', () => {
      try {
        return readFileSync(`${workflows.workTree}/a.json`, 'utf8') === '1\n'
      } catch {
        return false
      }
    })
    writeFileSync(`${workflows.workTree}/mine.json`, '2\n')
    await until('it is pushed', () => has('mine.json'))
    await host.close()
    writeFileSync(`${workflows.workTree}/later.json`, '3\n')
    await until('it goes on', () => /cannot read .*flows/.test(child.said()))
    assert.is(child.exitCode, null)
  } finally {
    process.kill(-child.pid!, 'SIGTERM')
    await once(child, 'exit')
    await host.close()
  }
})

test.run()
