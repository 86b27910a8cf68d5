import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { buildSync } from 'esbuild'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { applyTree } from '../../generator/write/apply.ts'
import { verifyAgainstManifest } from '../../generator/write/drift.ts'
import { NODE_FILE_SYSTEM } from '../../generator/write/file-system.ts'
import { formatIdentity, isAlive, ownIdentity, parseIdentity, takeLock } from '../../generator/write/lock.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { artifact, stateNames, treeOf, treeOn } from './written-trees.ts'

function bundle(contents: string): string {
  const outfile = `${temporaryDirectory()}/child.mjs`
  const resolveDir = new URL('../../generator/write', import.meta.url).pathname
  buildSync({ stdin: { contents, resolveDir }, bundle: true, platform: 'node', format: 'esm', outfile })
  return outfile
}

/** Takes the lock of a directory and keeps it until it is killed. */
const HOLDER = bundle(`
  import { takeLock } from './lock.ts'
  import * as fs from 'node:fs'
  takeLock(process.argv[2], fs, 0)
  console.log('held')
  setInterval(() => {}, 1000)`)

async function holdLock(directory: string): Promise<ChildProcess> {
  const holder = spawn(process.execPath, [HOLDER, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(holder.stdout!, 'data')
  return holder
}

test('a run that finds another at work says which process it is, and writes nothing', async () => {
  const out = temporaryDirectory()
  const holder = await holdLock(out)
  try {
    applyTree({ outputDirectory: out, artifacts: [artifact('a', '')], lockTimeoutMs: 50 })
    assert.unreachable()
  } catch (error) {
    const { code, pid, message } = error as Error & { code: string; pid: number }
    assert.equal({ code, pid }, { code: 'LOCKED', pid: holder.pid })
    assert.is(message, `cannot write "${out}": process ${holder.pid} is writing it`)
    assert.equal(treeOn(out), {})
  } finally {
    holder.kill('SIGKILL')
    await once(holder, 'close')
  }
})

test('the lock dies with its process, and its file goes with the next run', async () => {
  const out = temporaryDirectory()
  const holder = await holdLock(out)
  holder.kill('SIGKILL')
  await once(holder, 'close')
  assert.is(stateNames(out).length, 1)
  applyTree({ outputDirectory: out, artifacts: [artifact('a', '')], lockTimeoutMs: 0 })
  assert.equal(stateNames(out), ['manifest.json'])
})

test('a lock file whose process number now belongs to another process counts for nothing', () => {
  const out = temporaryDirectory()
  mkdirSync(`${out}/.machinegen`)
  writeFileSync(`${out}/.machinegen/lock-${process.ppid}-1`, '')
  applyTree({ outputDirectory: out, artifacts: [artifact('a', '')], lockTimeoutMs: 0 })
  assert.equal(stateNames(out), ['manifest.json'])
})

test('a run waits for a short one to end', async () => {
  const out = temporaryDirectory()
  const holder = await holdLock(out)
  const killer = spawn('sh', ['-c', `sleep 0.2; kill -9 ${holder.pid}`])
  applyTree({ outputDirectory: out, artifacts: [artifact('a', '')], lockTimeoutMs: 20_000 })
  assert.equal(treeOn(out), treeOf([artifact('a', '')]))
  await once(killer, 'close')
})

test('a process knows itself, its parent and the dead', async () => {
  const self = ownIdentity()
  assert.equal(parseIdentity(formatIdentity(self)), self)
  assert.is(isAlive(self), true)
  assert.is(isAlive({ ...self, startTick: '1' }), false)
  const child = spawn('true')
  await once(child, 'close')
  assert.is(isAlive({ pid: child.pid!, startTick: '0' }), false)
  assert.is(parseIdentity('x-1'), undefined)
})

test('a lock that is released can be taken again', () => {
  const out = temporaryDirectory()
  takeLock(out, NODE_FILE_SYSTEM, 0).release()
  takeLock(out, NODE_FILE_SYSTEM, 0).release()
  assert.equal(stateNames(out), [])
})

const WRITER = bundle(`
  import { applyTree } from './apply.ts'
  const [out, name] = process.argv.slice(2)
  for (let round = 0; round < 8; round++) {
    const artifacts = Array.from({ length: 30 }, (_, index) =>
      ({ path: name + round % 2 + '/' + index, mode: 0o644, source: 'test', content: name + round }))
    artifacts.push({ path: 'shared', mode: 0o644, source: 'test', content: name + round })
    applyTree({ outputDirectory: out, artifacts, inputs: { name, round: String(round) }, lockTimeoutMs: 60000 })
  }`)

test('six processes that render into one directory again and again leave the whole tree of one of them', async () => {
  for (const exists of [true, false]) {
    const parent = temporaryDirectory()
    const out = `${parent}/out`
    if (exists) mkdirSync(out)
    const writers = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) =>
      spawn(process.execPath, [WRITER, out, name], { stdio: ['ignore', 'inherit', 'inherit'] }),
    )
    const codes = await Promise.all(writers.map(async (writer) => (await once(writer, 'close'))[0]))
    assert.equal(codes, [0, 0, 0, 0, 0, 0])
    const { state, inputs, drift } = verifyAgainstManifest(out)
    assert.equal({ state, drift }, { state: 'complete', drift: [] })
    assert.is(readFileSync(`${out}/shared`, 'utf8'), `${inputs!.name}${inputs!.round}`)
    assert.is(Object.keys(treeOn(out)).length, 32)
    assert.equal(readdirSync(parent), ['out'])
    assert.not(existsSync(`${out}/.machinegen/unfinished`))
  }
})

test.run()
