import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { until } from './local-tree.ts'
import { type MachineTree, portOf, supervise, untilState, writeMachine } from './supervised-machine.ts'

interface Context {
  tree: MachineTree
  stop: () => Promise<void>
}

const test = suite<Context>('a sidecar beside real supervisors')

const gate = ({ plan }: MachineTree, name: string) => existsSync(`${plan.paths.gates}/${name}`)
const directory = ({ plan }: MachineTree, name: string) => `${plan.paths.services}/${name}`
const svc = (tree: MachineTree, orders: string, name: string) => execFileSync('s6-svc', [orders, directory(tree, name)])
const poke = (tree: MachineTree, name: string, path: string) =>
  fetch(`http://127.0.0.1:${portOf(tree, name)}${path}`).catch(() => null)

test.before(async (context) => {
  context.tree = await writeMachine([
    { name: 'front', http: true, delayMs: 300 },
    { name: 'back', http: true, gpu: 0, waitsFor: ['front'], onDependencyRestart: 'restart' },
    { name: 'port', http: true, probe: { kind: 'tcp' } },
    { name: 'wedge', http: true, environment: { IGNORE_TERM: '1' }, stop: { signal: 'SIGTERM', timeoutMs: 700 } },
    { name: 'job', kind: 'task', command: ['true'], probe: { kind: 'task' } },
    {
      name: 'broken',
      command: ['sh', '-c', 'exit 7'],
      restart: { maxAttempts: 2, windowMs: 60_000, backoff: { initialMs: 100, maxMs: 100, factor: 1 } },
    },
  ])
  const { stop } = await supervise(context.tree)
  context.stop = stop
})

test.after(({ stop }) => stop())

test('states, probes and gates of a boot are true', async ({ tree }) => {
  const front = await untilState(tree, 'front', 'ready')
  const back = await untilState(tree, 'back', 'ready')
  await untilState(tree, 'port', 'ready')
  await untilState(tree, 'job', 'done')
  assert.ok(front.startupMs >= 300, `${front.startupMs} ms`)
  assert.ok(back.launchedAt >= front.since, 'it was not launched before the gate opened')
  for (const name of ['sidecar', 'front', 'back', 'port', 'job']) assert.ok(gate(tree, name), name)
  const answer = await (await poke(tree, 'back', '/pid'))!.text()
  assert.is(back.pid, Number(answer), 'the service replaced the shell that waited')
})

test('a service shows all that the machine knows of it', async ({ tree }) => {
  const { status, body } = await tree.ask('/services/back')
  assert.is(status, 200)
  const { since, startedAt, launchedAt, readyAt, uptime, pid, startupMs, exits, startupsMs, ...rest } = body
  assert.equal(rest, {
    name: 'back',
    type: 'custom',
    gpu: 0,
    state: 'ready',
    pm2_status: 'online',
    standing: 'healthy',
    reason: null,
    ready: true,
    live: true,
    optional: false,
    restarts: 0,
    port: portOf(tree, 'back'),
    endpoint: `http://127.0.0.1:${portOf(tree, 'back')}`,
    waitsFor: ['front'],
    waitingFor: [],
    dependencies: [{ name: 'front', kind: 'service', healthy: true, reason: null }],
    lastExit: null,
    lastExits: [],
    flapping: null,
    stoppedBy: null,
    workload: null,
    workerId: null,
  })
  for (const time of [since, startedAt, launchedAt, readyAt]) assert.is(new Date(time).toISOString(), time)
  assert.ok([pid, startupMs, uptime, exits.error].every(Number.isInteger))
  assert.equal(startupsMs, [startupMs])
})

test('a crash loop ends in failed, with the reason', async ({ tree }) => {
  const broken = await untilState(tree, 'broken', 'failed')
  assert.is(broken.reason, 'it died 2 times within 60 s, the last time by exit code 7')
  assert.is(broken.lastExit.text, 'exit code 7')
  assert.not(gate(tree, 'broken'))
  const { status, body } = await tree.ask('/health')
  assert.is(status, 503)
  assert.is(body.healthy, false)
  assert.is(body.services.broken.healthy, false)
  assert.is(body.services.front.healthy, true)
})

test('unknown names, routes and methods are answered with what was probably meant', async ({ tree }) => {
  const service = await tree.ask('/services/bakc')
  assert.is(service.status, 404)
  assert.equal(service.body.error, { code: 'NOT_FOUND', message: 'there is no service "bakc"; did you mean "back"?' })
  const route = await tree.ask('/helth')
  assert.is(route.body.error.message, 'there is no route "/helth"; did you mean "/health"?')
  assert.is((await tree.ask('/services/%E0%A4%A')).status, 404)
  assert.is((await tree.ask('/__proto__')).status, 404)
  const post = await tree.ask('/health', { method: 'POST' })
  assert.is(post.status, 405)
  assert.is(post.body.error.code, 'METHOD_NOT_ALLOWED')
  const head = await fetch(`http://127.0.0.1:${tree.plan.sidecar.port}/version`, { method: 'HEAD' })
  assert.is(head.status, 200)
  assert.is(await head.text(), '')
})

test('lists, status, version and the health of one service', async ({ tree }) => {
  const { body } = await tree.ask('/services')
  assert.equal(
    body.services.map(({ name }: { name: string }) => name),
    ['sidecar', 'front', 'back', 'port', 'wedge', 'job', 'broken'],
  )
  assert.is((await tree.ask('/version')).body.machine, 'test-machine')
  assert.is((await tree.ask('/status')).body.services.front.state, 'ready')
  assert.is((await tree.ask('/services/front/health')).status, 200)
  assert.is((await tree.ask('/services/broken/health')).status, 503)
})

test('a death closes the gate at once, and a dependent is restarted when its dependency is back', async ({ tree }) => {
  const before = await untilState(tree, 'back', 'ready')
  const { pid } = (await tree.ask('/services/front')).body
  const closed = until('the gate is closed', 2000, () => !gate(tree, 'front'))
  process.kill(pid, 'SIGKILL')
  await closed
  const front = await untilState(tree, 'front', 'ready')
  assert.is(front.restarts, 1)
  assert.is(front.lastExit.text, 'signal SIGKILL')
  const back = await until('another run of "back" is ready', 15_000, async () => {
    const { body } = await tree.ask('/services/back')
    return body.state === 'ready' && body.pid !== before.pid ? body : null
  })
  assert.is(back.restarts, 1)
  assert.is(back.lastExit.text, 'signal SIGTERM')
})

test('a service that refuses its health is unready at once and restarted after its patience', async ({ tree }) => {
  const { pid } = await untilState(tree, 'port', 'ready')
  await untilState(tree, 'front', 'ready')
  await poke(tree, 'front', '/fail')
  const unready = await untilState(tree, 'front', 'unready')
  assert.is(unready.reason, 'GET /ok: status 503')
  assert.not(gate(tree, 'front'))
  const again = await untilState(tree, 'front', 'ready')
  assert.is.not(again.pid, unready.pid)
  assert.is((await tree.ask('/services/port')).body.pid, pid, 'nobody else was touched')
})

test('a service that hangs and ignores SIGTERM is killed', async ({ tree }) => {
  const { pid } = await untilState(tree, 'wedge', 'ready')
  await poke(tree, 'wedge', '/hang')
  const again = await until('another run of "wedge" is ready', 20_000, async () => {
    const { body } = await tree.ask('/services/wedge')
    return body.state === 'ready' && body.pid !== pid ? body : null
  })
  assert.is(again.lastExit.text, 'signal SIGKILL')
})

test('what an operator stops stays down, and comes back when he starts it', async ({ tree }) => {
  await untilState(tree, 'port', 'ready')
  svc(tree, '-d', 'port')
  await untilState(tree, 'port', 'down')
  assert.not(gate(tree, 'port'))
  await new Promise((resolve) => setTimeout(resolve, 1200))
  assert.is((await tree.ask('/services/port')).body.state, 'down')
  svc(tree, '-u', 'port')
  await untilState(tree, 'port', 'ready')
})

test('a gate that somebody removed is opened again', async ({ tree }) => {
  await untilState(tree, 'port', 'ready')
  rmSync(`${tree.plan.paths.gates}/port`)
  await until('the gate is back', 5000, () => gate(tree, 'port'))
})

test('a sidecar that is killed touches no service and knows everything when it is back', async ({ tree }) => {
  await untilState(tree, 'back', 'ready')
  const before = (await tree.ask('/services')).body.services
  const { pid } = (await tree.ask('/services/sidecar')).body
  process.kill(pid, 'SIGKILL')
  await until('another sidecar answers', 15_000, async () => {
    const { body } = await tree.ask('/services/sidecar').catch(() => ({ body: null }))
    return body?.state === 'ready' && body.pid !== pid
  })
  for (const { name, state, pid: earlier } of before) {
    if (name === 'sidecar') continue
    const { body } = await tree.ask(`/services/${name}`)
    assert.equal([name, body.state, body.pid], [name, state, earlier])
    assert.is(gate(tree, name), state === 'ready' || state === 'done', name)
  }
})

test('after the farewell nothing is ready any more while everything still works', async ({ tree }) => {
  await untilState(tree, 'front', 'ready')
  svc(tree, '-1', 'sidecar')
  await until('the machine is stopping', 3000, async () => (await tree.ask('/status')).body.state === 'stopping')
  assert.is((await tree.ask('/ready')).status, 503)
  assert.is((await tree.ask('/health')).status, 503)
  const front = (await tree.ask('/services/front')).body
  assert.is(front.state, 'ready')
  assert.is((await poke(tree, 'front', '/ok'))!.status, 200)
})

test('every change was logged as a line of JSON in the one schema', async ({ tree }) => {
  const lines = readFileSync(`${tree.plan.paths.logs}/sidecar/current`, 'utf8').trim().split('\n')
  const entries = lines.map((line) => JSON.parse(line.slice(line.indexOf('{'))))
  for (const { timestamp, level, service, message } of entries) {
    assert.is(service, 'sidecar')
    assert.is(new Date(timestamp).toISOString(), timestamp)
    assert.ok(['info', 'warn', 'error'].includes(level) && typeof message === 'string')
  }
  const ofBroken = entries.filter(({ context }) => context?.service === 'broken' && context.state !== undefined)
  assert.is(ofBroken.at(-1)?.context.state, 'failed')
})

test.run()
