import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Plan } from '../../schema/plan.ts'
import { fileOf, type ModelServer, startModelServer } from '../fixtures/model-server.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { tarballOf } from '../fixtures/tar-archive.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

let server: ModelServer
const running = new Set<ChildProcess>()
test.before(async () => {
  server = await startModelServer()
})
test.after(async () => {
  for (const child of running) child.kill('SIGKILL')
  await server.close()
})

/** A package whose program and data belong together: a mixture of two versions shows. */
function packageOf(version: string): Buffer {
  return tarballOf([
    { name: './redis-direct-worker.js', content: `// ${version}` },
    { name: './package.json', content: JSON.stringify({ version }) },
    { name: './data.bin', content: fileOf(3_000_000) },
    ...Array.from({ length: 40 }, (_, index) => ({ name: `./lib/file${index}.txt`, content: `${version} ${index}` })),
  ])
}

function planFile(root: string): string {
  const plan: Plan = planFixture({ root, types: [] })
  const workerPackage = {
    url: server.url('/worker.tar.gz'),
    localPath: null,
    sha256: null,
    directory: `${root}/workspace/worker`,
    entryName: 'redis-direct-worker.js',
    entryLink: '.machinegen-entry',
  }
  mkdirSync(`${root}/config`, { recursive: true })
  const file = `${root}/config/plan.json`
  writeFileSync(file, JSON.stringify({ ...plan, provisioning: { ...plan.provisioning, workerPackage } }))
  return file
}

function start(file: string, ...words: string[]): ChildProcess {
  const program = ['--import', 'tsx', 'runtime/provision/main.ts', 'worker-package', '--plan', file, ...words]
  const child = spawn(process.execPath, program, { stdio: 'ignore' })
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** Everything in the current version is of one version; gives which. */
function wholeVersion(root: string): string | null {
  const current = join(root, 'workspace/worker/current')
  try {
    readlinkSync(current)
  } catch {
    return null
  }
  const version = readFileSync(join(current, '.machinegen-entry'), 'utf8').slice(3)
  assert.is((JSON.parse(readFileSync(join(current, 'package.json'), 'utf8')) as { version: string }).version, version)
  assert.is(statSync(join(current, 'data.bin')).size, 3_000_000)
  for (let index = 0; index < 40; index += 1) {
    assert.is(readFileSync(join(current, `lib/file${index}.txt`), 'utf8'), `${version} ${index}`)
  }
  return version
}

test('killed at random moments of updates, the current version is always whole, and the next run gets there', async () => {
  const root = temporaryDirectory()
  const file = planFile(root)
  server.bytesPerSecond = 8_000_000
  const packages = new Map(['v1', 'v2', 'v3'].map((version) => [version, packageOf(version)]))
  let seen = 0
  for (const version of ['v1', 'v2', 'v3']) {
    server.files.set('/worker.tar.gz', { content: packages.get(version)!, etag: `"${version}"` })
    for (let kill = 0; kill < 5; kill += 1) {
      const child = start(file, '--update')
      // Most of the first 400 ms is Node itself.
      await new Promise((resolve) => setTimeout(resolve, 350 + Math.random() * 700))
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      const there = wholeVersion(root)
      if (there !== null) seen += 1
      assert.ok(there === null || there <= version, `${there} while ${version} was fetched`)
    }
    const [code] = (await once(start(file, '--update'), 'exit')) as [number]
    assert.is(code, 0)
    assert.is(wholeVersion(root), version)
  }
  assert.ok(seen > 0)
  assert.equal(readdirSync(join(root, 'workspace/worker')).sort(), ['current', 'previous', 'versions'])
  assert.is(readdirSync(join(root, 'workspace/worker/versions')).length, 2)
  // A killed run loses what lay in the buffers of its connection, which the server counts as sent.
  const inBuffersBytes = 15 * 2_500_000
  assert.ok(server.sentBytes() < 3 * 3_100_000 * 1.1 + inBuffersBytes, `${server.sentBytes()} bytes were sent`)
})

test('two at once fetch it once', async () => {
  const root = temporaryDirectory()
  const file = planFile(root)
  server.bytesPerSecond = 6_000_000
  server.files.set('/worker.tar.gz', { content: packageOf('v1'), etag: '"once"' })
  const before = server.sentBytes()
  const codes = await Promise.all([start(file), start(file)].map((child) => once(child, 'exit')))
  assert.equal(
    codes.map(([code]) => code),
    [0, 0],
  )
  assert.is(wholeVersion(root), 'v1')
  assert.ok(server.sentBytes() - before < 3_100_000 * 1.2)
})

test.run()
