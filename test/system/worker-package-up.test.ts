import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { startModelServer } from '../fixtures/model-server.ts'
import { workerPackage } from '../fixtures/tar-archive.ts'
import {
  allReady,
  eventually,
  type RunningMachine,
  services,
  startMachine,
  stopAll,
  stopMachine,
} from './running-machine.ts'

test.after(stopAll)

/** Works until it is asked to stop, and then for a moment more: it has a job to finish. */
const worker = (version: string) => `
const say = (what) => console.log(new Date().toISOString(), process.env.WORKER_ID, '${version}', what)
say('starts')
process.on('SIGTERM', () => { say('drains'); setTimeout(() => { say('drained'); process.exit(0) }, 700) })
setInterval(() => {}, 1000)
`

/** Beside this process, which is the server that it asks. */
async function provision(machine: RunningMachine, ...words: string[]): Promise<{ code: number | null; text: string }> {
  const plan = join(machine.stateDirectory, 'config/plan.json')
  const child = spawn(process.execPath, ['dist/provision.js', 'worker-package', '--plan', plan, ...words])
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, text }
}

/** What the workers said, in the order of time. */
function story(machine: RunningMachine): string[] {
  const lines = [0, 1].flatMap((gpu) => {
    const log = join(machine.stateDirectory, `workspace/logs/redis-worker-gpu${gpu}/current`)
    return [...readFileSync(log, 'utf8').matchAll(/(\S+Z) rolling-worker-(\d) (v\d \w+)$/gm)]
  })
  return lines.sort((a, b) => (a[1]! < b[1]! ? -1 : 1)).map((line) => `${line[2]} ${line[3]}`)
}

test('workers wait for their package, and roll to a new one and back, one after the other, with their jobs drained', async () => {
  const server = await startModelServer()
  server.files.set('/worker.tar.gz', { content: workerPackage('v1', worker('v1')), etag: '"1"' })
  try {
    const machine = await startMachine(
      `
machine: { id: rolling, gpu: { count: 2, mock: true } }
services:
  redisWorker: { downloadUrl: "${server.url('/worker.tar.gz')}" }
provisioning: { retries: 1 }
`,
      {},
      false,
    )
    await eventually('all ready', () => allReady(machine), 60_000)
    assert.equal(story(machine).sort(), ['0 v1 starts', '1 v1 starts'])
    assert.is(server.requests.filter(({ headers }) => headers.range !== 'bytes=0-0').length, 1, 'one download for both')
    server.files.set('/worker.tar.gz', { content: workerPackage('v2', worker('v2')), etag: '"2"' })
    const updated = await provision(machine, '--update')
    assert.is(updated.code, 0, updated.text)
    assert.equal(story(machine).slice(2), rolled('v1', 'v2'))
    const after = await services(machine)
    assert.ok(after['redis-worker-gpu0']!.ready && after['redis-worker-gpu1']!.ready)
    assert.is((await provision(machine, '--rollback')).code, 0)
    assert.equal(story(machine).slice(8), rolled('v2', 'v1'))
    // As an update leaves it that was killed after its switch.
    const place = join(machine.stateDirectory, 'workspace/worker')
    const [v2] = readdirSync(join(place, 'versions')).filter((name) => name.startsWith('v2'))
    rmSync(join(place, 'current'))
    symlinkSync(`versions/${v2}`, join(place, 'current'))
    assert.is((await provision(machine, '--update')).code, 0)
    assert.equal(story(machine).slice(14), rolled('v1', 'v2'))
    assert.is((await provision(machine, '--update')).code, 0)
    assert.is(story(machine).length, 20, 'nobody is restarted for nothing')
    assert.is((await provision(machine, '--rollback', '--update')).code, 2)
    assert.is(await stopMachine(machine), 0)
  } finally {
    await server.close()
  }
})

test('a version that does not work ends the roll at the first worker, and a rollback brings that back', async () => {
  const server = await startModelServer()
  server.files.set('/worker.tar.gz', { content: workerPackage('v1', worker('v1')), etag: '"1"' })
  try {
    const machine = await startMachine(
      `
machine: { id: rolling, gpu: { count: 2, mock: true } }
services:
  redisWorker:
    downloadUrl: "${server.url('/worker.tar.gz')}"
    restart: { maxAttempts: 2, backoff: { initial: 100ms, max: 100ms } }
`,
      {},
      false,
    )
    await eventually('all ready', () => allReady(machine), 60_000)
    server.files.set('/worker.tar.gz', { content: workerPackage('v2', 'process.exit(3)'), etag: '"2"' })
    const failed = await provision(machine, '--update')
    assert.is(failed.code, 1)
    assert.match(failed.text, '"redis-worker-gpu0" died too often with this version: the workers after it keep theirs')
    assert.ok((await services(machine))['redis-worker-gpu1']!.ready)
    const back = await provision(machine, '--rollback')
    assert.is(back.code, 0, back.text)
    const { 'redis-worker-gpu0': first, 'redis-worker-gpu1': second } = await services(machine)
    assert.ok(first!.ready && second!.ready)
    assert.is(second!.restarts, 0, 'it runs that version still')
    assert.is(await stopMachine(machine), 0)
  } finally {
    await server.close()
  }
})

const rolled = (from: string, to: string) =>
  [0, 1].flatMap((gpu) => [`${gpu} ${from} drains`, `${gpu} ${from} drained`, `${gpu} ${to} starts`])

test.run()
