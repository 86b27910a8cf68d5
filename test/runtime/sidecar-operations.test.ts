/** Operators start, stop and restart services through the sidecar, under real supervisors. */
import { existsSync, readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { until } from './local-tree.ts'
import { type Json, type MachineTree, supervise, untilState, writeMachine } from './supervised-machine.ts'

interface Context {
  tree: MachineTree
  stop: () => Promise<void>
}

const test = suite<Context>('operations on services')

const order = ({ ask, plan }: MachineTree, path: string): Promise<{ status: number; body: Json }> => {
  const token = readFileSync(`${plan.paths.state}/api-token`, 'utf8').trim()
  return ask(`/services/${path}`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
}

const service = async ({ ask }: MachineTree, name: string): Promise<Json> => (await ask(`/services/${name}`)).body

test.before(async (context) => {
  context.tree = await writeMachine([
    { name: 'app', http: true, delayMs: 200 },
    { name: 'side', http: true },
    { name: 'stubborn', http: true, environment: { IGNORE_TERM: '1' }, stop: { signal: 'SIGTERM', timeoutMs: 500 } },
    {
      name: 'broken',
      http: true,
      command: ['sh', '-c', 'exit 7'],
      restart: { maxAttempts: 2, windowMs: 60_000, backoff: { initialMs: 100, maxMs: 100, factor: 1 } },
    },
    { name: 'job', kind: 'task', command: ['sh', '-c', 'sleep 0.3'], probe: { kind: 'task' } },
  ])
  context.stop = (await supervise(context.tree)).stop
  for (const name of ['app', 'side', 'stubborn']) await untilState(context.tree, name, 'ready')
  await untilState(context.tree, 'broken', 'failed')
  await untilState(context.tree, 'job', 'done')
})

test.after(({ stop }) => stop())

test('a restart waits for the next run, not for the one that ends', async ({ tree }) => {
  const before = await service(tree, 'app')
  const { status, body } = await order(tree, 'app/restart?wait=ready&timeoutMs=2900')
  assert.is(status, 200, JSON.stringify(body))
  const after = await service(tree, 'app')
  assert.is(after.state, 'ready')
  assert.is.not(after.pid, before.pid)
  assert.is(after.restarts, 1)
})

test('a restart of one that ignores its signal ends in a kill, which uses no budget', async ({ tree }) => {
  const before = await service(tree, 'stubborn')
  assert.is((await order(tree, 'stubborn/restart')).status < 300, true)
  const after = await until('another run is ready', 15_000, async () => {
    const body = await service(tree, 'stubborn')
    return body.state === 'ready' && body.pid !== before.pid ? body : null
  })
  assert.is(after.lastExit.text, 'signal SIGKILL')
  const { record } = JSON.parse(readFileSync(`${tree.plan.paths.run}/sidecar/services/stubborn.json`, 'utf8'))
  assert.is(record.history.exits.operator, 1)
  assert.equal(record.history.faults, [])
})

test('a stop is kept with who wanted it, over the death of the sidecar, until the next start', async ({ tree }) => {
  assert.ok((await order(tree, 'app/stop')).status < 300)
  const stopped = await untilState(tree, 'app', 'down')
  assert.match(stopped.reason, /^stopped by /)
  const { pid } = await service(tree, 'sidecar')
  process.kill(pid, 'SIGKILL')
  await until('another sidecar is ready', 15_000, async () => {
    const body = await service(tree, 'sidecar').catch(() => null)
    return body?.state === 'ready' && body.pid !== pid
  })
  await new Promise((resolve) => setTimeout(resolve, 1200))
  const later = await service(tree, 'app')
  assert.equal([later.state, later.reason], ['down', stopped.reason])
  assert.not(existsSync(`${tree.plan.paths.gates}/app`))
  const { status, body } = await order(tree, 'app/start?wait=ready&timeoutMs=2900')
  assert.is(status, 200, JSON.stringify(body))
  assert.is((await service(tree, 'app')).state, 'ready')
})

test('a restart of a stopped service starts it', async ({ tree }) => {
  await order(tree, 'side/stop')
  await untilState(tree, 'side', 'down')
  assert.is((await order(tree, 'side/restart?wait=ready&timeoutMs=2900')).status, 200)
  assert.is((await service(tree, 'side')).state, 'ready')
})

test('a service that was given up is tried again with its whole budget, and the wait says why it failed', async ({
  tree,
}) => {
  const { restarts } = await service(tree, 'broken')
  const { status, body } = await order(tree, 'broken/start?wait=ready&timeoutMs=2900')
  assert.ok(status >= 400, JSON.stringify(body))
  assert.match(body.error.message, /"broken" is failed: it died 2 times within 60 s, the last time by exit code 7/)
  assert.is((await service(tree, 'broken')).restarts, restarts + 2)
})

test('a stop of one that was given up takes the failure back', async ({ tree }) => {
  await order(tree, 'broken/stop')
  await untilState(tree, 'broken', 'down')
  assert.is((await tree.ask('/health')).status, 200)
})

test('a task that is done runs again when it is started, and the wait is for its new end', async ({ tree }) => {
  const startedMs = Date.now()
  const { status, body } = await order(tree, 'job/start?wait=ready&timeoutMs=2900')
  assert.is(status, 200, JSON.stringify(body))
  assert.ok(Date.now() - startedMs >= 300, `${Date.now() - startedMs} ms`)
  assert.is((await service(tree, 'job')).state, 'done')
})

test('the sidecar cannot be stopped through itself, but restarted', async ({ tree }) => {
  const refused = await order(tree, 'sidecar/stop')
  assert.ok(refused.status >= 400)
  assert.match(refused.body.error.message, /nobody could start it again/)
  const { pid } = await service(tree, 'sidecar')
  assert.ok((await order(tree, 'sidecar/restart')).status < 300)
  await until('another sidecar is ready', 15_000, async () => {
    const body = await service(tree, 'sidecar').catch(() => null)
    return body?.state === 'ready' && body.pid !== pid
  })
})

test.run()
