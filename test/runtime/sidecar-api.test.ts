import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { apiTokenFile } from '../../runtime/shared/api-token.ts'
import { until } from './local-tree.ts'
import { type Json, type MachineTree, portOf, supervise, untilState, writeMachine } from './supervised-machine.ts'

interface Context {
  tree: MachineTree
  stop: () => Promise<void>
}

const test = suite<Context>('the API of a sidecar beside real supervisors')

const token = ({ plan }: MachineTree) => readFileSync(apiTokenFile(plan.paths), 'utf8').trim()

/** Asks with the token, and with more patience than a probe. */
async function ask(
  tree: MachineTree,
  path: string,
  method = 'GET',
  body?: object,
): Promise<{ status: number; body: Json; text: string }> {
  const response = await fetch(`http://127.0.0.1:${tree.plan.sidecar.port}${path}`, {
    method,
    headers: { authorization: `Bearer ${token(tree)}`, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(30_000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  return { status: response.status, text, body: isJson ? JSON.parse(text) : null }
}

test.before(async (context) => {
  const budget = { maxAttempts: 2, windowMs: 60_000, backoff: { initialMs: 100, maxMs: 100, factor: 1 } }
  context.tree = await writeMachine([
    { name: 'front', http: true, gpu: 0, delayMs: 300 },
    { name: 'back', http: true, gpu: 0, waitsFor: ['front'] },
    { name: 'slow', http: true, delayMs: 5000, optional: true },
    {
      name: 'broken',
      command: ['sh', '-c', 'echo "ERROR it cannot work"; exit 7'],
      probe: { kind: 'uptime', graceMs: 1000 },
      restart: budget,
      optional: true,
    },
  ])
  const { plan, planFile } = context.tree
  writeFileSync(planFile, JSON.stringify({ ...plan, bundles: { gpu0: ['front', 'back'] } }))
  context.stop = (await supervise(context.tree)).stop
  await untilState(context.tree, 'back', 'ready')
})

test.after(({ stop }) => stop())

test('the token is made at the first start, for its owner alone', ({ tree }) => {
  assert.match(token(tree), /^[\w-]{43}$/)
  assert.is(statSync(apiTokenFile(tree.plan.paths)).mode & 0o777, 0o600)
})

test('a restart that is waited for ends when another run is ready', async ({ tree }) => {
  const before = (await ask(tree, '/services/front')).body
  const { status, body } = await ask(tree, '/services/front/restart?wait=ready&timeoutMs=20000', 'POST', {
    reason: 'a test',
  })
  assert.equal([status, body.ready, body.services], [200, true, ['front']])
  const after = (await ask(tree, '/services/front')).body
  assert.is.not(after.pid, before.pid)
  assert.equal([after.state, after.lastExit.reason], ['ready', 'operator'])
})

test('a bundle is restarted as a whole', async ({ tree }) => {
  await untilState(tree, 'back', 'ready')
  const pids = async () => (await ask(tree, '/services?service=gpu0')).body.services.map(({ pid }: Json) => pid)
  const before = await pids()
  const { status, body } = await ask(tree, '/services/gpu0/restart?wait=ready', 'POST')
  assert.equal([status, body.services], [200, ['front', 'back']])
  const after = await pids()
  assert.ok(
    before.every((pid: number) => !after.includes(pid)),
    `${before} became ${after}`,
  )
})

test('what does not become ready in time is a timeout that says where it is', async ({ tree }) => {
  const { status, body } = await ask(tree, '/services/slow/restart?wait=ready&timeoutMs=700', 'POST')
  assert.equal([status, body.error.code], [504, 'TIMEOUT'])
  assert.match(body.error.message, /slow/)
})

test('what an operator stops is shown, counts for nothing, and waits for his start', async ({ tree }) => {
  const stopped = await ask(tree, '/services/back/stop', 'POST', { reason: 'to look at it' })
  assert.is(stopped.status, 202)
  await untilState(tree, 'back', 'down')
  const { body } = await ask(tree, '/services/back')
  assert.equal(
    [body.standing, body.stoppedBy.operator, body.stoppedBy.reason],
    ['stopped', 'http 127.0.0.1', 'to look at it'],
  )
  const health = await ask(tree, '/health')
  assert.equal([health.status, health.body.stopped], [200, ['back']])
  const started = await ask(tree, '/services/back/start?wait=ready', 'POST')
  assert.is(started.status, 200)
})

test('a service that was given up shows the end of its log', async ({ tree }) => {
  await untilState(tree, 'broken', 'failed')
  const { body } = await ask(tree, '/services/broken')
  assert.match(body.logs.map(({ message }: Json) => message).join('\n'), /it cannot work/)
  const waited = await ask(tree, '/services/broken/restart?wait=ready&timeoutMs=20000', 'POST')
  assert.equal([waited.status, waited.body.error.code], [409, 'FAILED'])
})

test('logs, events and metrics are those of the machine', async ({ tree }) => {
  const logs = await ask(tree, '/logs?service=broken&level=error&lines=5')
  assert.ok(
    logs.body.logs.some(({ message }: Json) => message.includes('it cannot work')),
    logs.text,
  )
  const { events } = (await ask(tree, '/events?follow=0&limit=1000')).body
  assert.ok(events.some(({ type, status }: Json) => type === 'operator.action' && status === 'restart'))
  const metrics = await ask(tree, '/metrics')
  assert.match(metrics.text, /^machine_service_restarts_total\{.*service="front".*\} [1-9]/m)
  assert.equal((await ask(tree, '/pm2/list')).body.find(({ name }: Json) => name === 'front').status, 'online')
})

test('what nobody may do is refused', async ({ tree }) => {
  const stop = await ask(tree, '/services/sidecar/stop', 'POST')
  assert.equal([stop.status, stop.body.error.code], [409, 'REFUSED'])
  const { status } = await tree.ask('/services/front/restart', { method: 'POST' })
  assert.is(status, 401)
})

test('the token outlives the sidecar', async ({ tree }) => {
  const before = token(tree)
  const { pid } = (await ask(tree, '/services/sidecar')).body
  process.kill(pid, 'SIGKILL')
  await until('another sidecar answers', 15_000, async () => {
    const { body } = await ask(tree, '/services/sidecar').catch(() => ({ body: null }))
    return body?.state === 'ready' && body.pid !== pid
  })
  assert.is(token(tree), before)
  assert.is((await ask(tree, `/services/front/health`)).status, 200)
  assert.ok(portOf(tree, 'front') > 0)
})

test('a machine that is restarted comes back with other processes, but for the sidecar', async ({ tree }) => {
  await untilState(tree, 'back', 'ready')
  const pids = async () => {
    const { services } = (await ask(tree, '/services')).body
    return Object.fromEntries(services.map(({ name, pid }: Json) => [name, pid]))
  }
  const before = await pids()
  const { status } = await ask(tree, '/restart/machine', 'POST')
  assert.is(status, 200)
  await until('front and back are ready again', 20_000, async () => {
    const now = await pids()
    const { ready } = (await ask(tree, '/services/back')).body
    return ready && now.front !== before.front && now.back !== before.back
  })
  assert.is((await pids()).sidecar, before.sidecar)
})

test.run()
