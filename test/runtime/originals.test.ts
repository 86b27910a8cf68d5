import { readFileSync, writeFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { stopMachine } from '../../runtime/local/stop-machine.ts'
import type { Plan } from '../../schema/plan.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { fieldFlaws } from './field-flaws.ts'
import { bundleProgram, until } from './local-tree.ts'
import { STATUS_TABLE, startupTable } from './originals-tables.ts'
import { endAtLast, endLeftovers, type RedisServer, redisServer } from './redis-server.ts'
import { type Json, type MachineTree, supervise, untilState, writeMachine } from './supervised-machine.ts'

test.after(endLeftovers)

const MACHINE = 'test-machine'
const WORKER = `${MACHINE}-worker-0`
const simulateProgram = bundleProgram('runtime/simulate/main.ts', `${temporaryDirectory()}/simulate.mjs`)

interface Heard {
  readonly atMs: number
  readonly channel: string
  readonly message: Json
}

/** Hears what consumers of both generations hear. */
async function record(server: RedisServer): Promise<Heard[]> {
  const heard: Heard[] = []
  const redis = client(server)
  redis.on('pmessage', (_, channel: string, text: string) => {
    heard.push({ atMs: Date.now(), channel, message: JSON.parse(text) })
  })
  await redis.psubscribe('machine:startup:events', 'machine:status:*')
  return heard
}

function client({ port }: RedisServer): Redis {
  const redis = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 50 })
  redis.on('error', () => {})
  endAtLast(() => redis.disconnect())
  return redis
}

type Announcements = Plan['redis']['announcements']

/** A proxy, a ComfyUI, a service of its own, and the simulated job worker of GPU 0. */
async function announcedMachine(
  url: string,
  announcements: Partial<Announcements> = {},
  workerUrl = url,
): Promise<MachineTree> {
  const tree = await writeMachine([
    { name: 'nginx', type: 'nginx', http: true, delayMs: 100 },
    { name: 'comfyui-gpu0', type: 'comfyui', gpu: 0, http: true, delayMs: 200, waitsFor: ['nginx'] },
    { name: 'my-api', http: true },
    {
      name: 'redis-worker-gpu0',
      type: 'redis-worker',
      gpu: 0,
      workerId: WORKER,
      waitsFor: ['comfyui-gpu0'],
      command: [process.execPath, simulateProgram, 'redis-worker'],
      environment: {
        WORKER_ID: WORKER,
        MACHINE_ID: MACHINE,
        HUB_REDIS_URL: workerUrl,
        WORKER_CONNECTORS: 'comfyui,simulation',
        CONNECTORS: 'comfyui',
        UNIFIED_MACHINE_STATUS: 'true',
        WORKER_POLL_INTERVAL_MS: '100',
      },
    },
  ])
  const secret = { name: 'redis-url', field: '/redis/url', source: { kind: 'reference' as const, template: url } }
  const redis = {
    ...tree.plan.redis,
    urlSecret: 'redis-url',
    announcements: { ...tree.plan.redis.announcements, intervalMs: 1000, ...announcements },
  }
  const gpu = { index: 0, device: '0', memoryBytes: 24e9, memoryGB: 24, model: 'RTX 4090', mock: true }
  const sidecar = { ...tree.plan.sidecar, publicUrl: 'http://{address}:9090' }
  const plan: Plan = { ...tree.plan, redis, sidecar, gpus: [gpu], secrets: [secret] }
  writeFileSync(tree.planFile, JSON.stringify(plan))
  return { ...tree, plan }
}

const ofFirst = (heard: readonly Heard[]) =>
  heard.filter(({ channel }) => channel === 'machine:startup:events').map(({ message }) => message)
const ofSecond = (heard: readonly Heard[]) =>
  heard.filter(({ channel }) => channel === `machine:status:${MACHINE}`).map(({ message }) => message)
const isWorkers = (message: Json) => message.worker_id === WORKER

test('the life of a machine in the words of both generations, field by field', async () => {
  const server = await redisServer()
  const heard = await record(server)
  const redis = client(server)
  const tree = await announcedMachine(server.url)
  const ports = [null, ...tree.plan.services.map(({ port }) => port)]
  const { svscan } = await supervise(tree)
  const stop = endAtLast(() => svscan.kill('SIGKILL'))
  const last = () => ofSecond(heard).at(-1)
  await until('the machine is ready', 20_000, () => last()?.status.machine.phase === 'ready')
  await until('the worker is idle', 20_000, () => last()?.status.workers[WORKER].status === 'idle')

  const front = await untilState(tree, 'my-api', 'ready')
  assert.ok(front.pid > 1)
  process.kill(front.pid, 'SIGKILL')
  await until('the failure is told', 5000, () =>
    ofFirst(heard).some(({ event_type }) => event_type === 'service_failed'),
  )
  await untilState(tree, 'my-api', 'ready')

  // A worker that ends by itself says goodbye for its machine.
  const worker = await untilState(tree, 'redis-worker-gpu0', 'ready')
  const before = heard.length
  assert.ok(worker.pid > 1)
  process.kill(worker.pid, 'SIGTERM')
  await until('the worker says goodbye', 5000, () => ofFirst(heard).some(isWorkers))
  await until('the machine says that it is there', 5000, () => {
    const said = ofFirst(heard)
    return said.findLastIndex(({ event_type }) => event_type === 'startup_complete') > said.findIndex(isWorkers)
  })
  await until('the worker is back', 15_000, () => last()?.status.workers[WORKER].status === 'idle')
  const phases = ofSecond(heard.slice(before)).map(({ status }) => status.machine.phase)
  assert.not(phases.includes('shutdown'), 'the stop of a worker is not that of the machine')

  await until('nothing changes', 5000, () => last().update_type === 'periodic')
  const stoppedMs = Date.now()
  await stopMachine(tree.plan, () => {})
  stop()
  const own = ofFirst(heard).filter((message) => !isWorkers(message))
  await until('the goodbye is heard', 3000, () => ofSecond(heard).some(({ update_type }) => update_type === 'shutdown'))

  for (const message of own)
    assert.equal(fieldFlaws(message, startupTable(message.event_type, ports)), [], message.event_type)
  for (const message of ofSecond(heard)) assert.equal(fieldFlaws(message, STATUS_TABLE), [])
  checkStory(own)
  checkStatuses(heard, stoppedMs)

  const keys = await redis.keys(`machine:startup:${MACHINE}:*`)
  const records = await Promise.all(
    keys.map(async (key) => ({ key, text: await redis.get(key), ttl: await redis.ttl(key) })),
  )
  assert.ok(
    own.every((message) => records.some(({ text }) => text === JSON.stringify(message))),
    'each has its record',
  )
  for (const { key, ttl, text } of records) {
    assert.match(key, new RegExp(`^machine:startup:${MACHINE}:${JSON.parse(text ?? '').event_type}:\\d{13}$`))
    assert.ok(ttl > 86_000 && ttl <= 86_400, `${ttl}`)
  }
})

function checkStory(own: readonly Json[]): void {
  const brief = own.map(({ event_type, phase, step_name, service_name }) =>
    [event_type, phase ?? step_name ?? service_name].filter(Boolean).join(' '),
  )
  const [first] = brief
  assert.is(first, 'machine_startup starting')
  const ordered = [
    'machine_startup starting',
    'startup_step phase_0_begin',
    'startup_step phase_0_complete',
    'startup_step ollama_skipped',
    'machine_startup configuring',
    'startup_step phase_1_begin',
    'service_started nginx',
    'startup_step phase_1_complete',
    'startup_step gpu_0_begin',
    'service_started comfyui-gpu0',
    'service_started redis-worker-gpu0',
    'startup_step phase_2_complete',
    'machine_startup ready',
    'startup_complete',
    'service_failed my-api',
    'service_started my-api',
    'shutdown',
  ]
  let at = -1
  for (const step of ordered) {
    const next = brief.indexOf(step, at + 1)
    assert.ok(next > at, `${step} after ${brief[at]} in\n${brief.join('\n')}`)
    at = next
  }
  const failed = own.find(({ event_type }) => event_type === 'service_failed')
  assert.match(failed.error, 'SIGKILL')
  const complete = own.find(({ event_type }) => event_type === 'startup_complete')
  assert.is(complete.step_count, complete.startup_steps.length)
}

function checkStatuses(heard: readonly Heard[], stoppedMs: number): void {
  const statuses = heard.filter(({ channel }) => channel === `machine:status:${MACHINE}`)
  assert.is(statuses[0]?.message.update_type, 'initial')
  assert.is(statuses[0]?.message.status.machine.phase, 'starting')
  const types = new Set(statuses.map(({ message }) => message.update_type))
  assert.equal([...types].sort(), ['event_driven', 'initial', 'periodic', 'shutdown'])
  const pauses = statuses.slice(1).map(({ atMs }, index) => atMs - statuses[index]!.atMs)
  assert.ok(Math.max(...pauses) < 2500, `the longest pause was ${Math.max(...pauses)} ms at an interval of 1 s`)
  const ready = statuses.findLast(({ message }) => message.status.machine.phase === 'ready')!.message
  assert.equal(Object.keys(ready.status.services), [`${WORKER}.comfyui`, `${WORKER}.simulation`])
  const { pm2_name, pm2_status, status, health } = ready.status.services[`${WORKER}.comfyui`]
  assert.equal([pm2_name, pm2_status, status, health], ['comfyui-gpu0', 'online', 'active', 'healthy'])
  assert.equal(ready.status.workers[WORKER].build_info, 'status-events-v2')
  assert.not.match(ready.health_url, /localhost|127\.0\.0\.1/)
  const farewell = statuses.filter(({ message }) => message.status.machine.phase === 'shutdown')
  assert.is(farewell[0]?.message.update_type, 'event_driven', 'what nobody passes on comes second')
  assert.ok(farewell.some(({ message }) => message.update_type === 'shutdown'))
  assert.ok(farewell[0]!.atMs - stoppedMs < 3000, `${farewell[0]!.atMs - stoppedMs} ms after the order to stop`)
}

test('each generation can be switched off', async () => {
  const server = await redisServer()
  const heard = await record(server)
  for (const [announcements, first, second] of [
    [{ startupEvents: false }, false, true],
    [{ machineStatus: false }, true, false],
  ] as const) {
    heard.length = 0
    const tree = await announcedMachine(server.url, announcements)
    const { svscan } = await supervise(tree)
    const stop = endAtLast(() => svscan.kill('SIGKILL'))
    await untilState(tree, 'redis-worker-gpu0', 'ready', 20_000)
    await stopMachine(tree.plan, () => {})
    stop()
    const said = ofFirst(heard).filter((message) => !isWorkers(message))
    assert.equal([said.length > 0, ofSecond(heard).length > 0], [first, second])
  }
})

/** The command of the documentation, for a password. */
function documentedUser(password: string): string[] {
  const text = /^ACL SETUSER [^`]+/m.exec(readFileSync('docs/events.md', 'utf8'))?.[0] ?? ''
  return text
    .trim()
    .split(/\s+/)
    .slice(1)
    .map((word) => word.replace('PASSWORD', password).replace('ID', MACHINE))
}

test('a user with the rights of the documentation is refused nothing', async () => {
  const server = await redisServer()
  const heard = await record(server)
  const redis = client(server)
  await redis.call('ACL', documentedUser('hush-hush'))
  await redis.call('ACL', 'LOG', 'RESET')
  const url = `redis://machine:hush-hush@127.0.0.1:${server.port}`
  const tree = await announcedMachine(url, {}, server.url)
  const { svscan } = await supervise(tree)
  const stop = endAtLast(() => svscan.kill('SIGKILL'))
  await until('an idle worker', 20_000, () => ofSecond(heard).at(-1)?.status.workers[WORKER].status === 'idle')
  await until('the boot is told', 5000, () =>
    ofFirst(heard).some(({ event_type }) => event_type === 'startup_complete'),
  )
  await until('nothing changes', 5000, () => ofSecond(heard).at(-1)?.update_type === 'periodic')
  await stopMachine(tree.plan, () => {})
  stop()
  assert.equal(await redis.call('ACL', 'LOG'), [])
})

test('a user without rights for the words of others keeps its own stream', async () => {
  const server = await redisServer()
  const heard = await record(server)
  const redis = client(server)
  const rights = documentedUser('hush-hush').filter(
    (word) => !word.startsWith('&machine:') && !['+setex', '+psubscribe', '~worker:*'].includes(word),
  )
  await redis.call('ACL', rights)
  const tree = await announcedMachine(`redis://machine:hush-hush@127.0.0.1:${server.port}`, {}, server.url)
  const { svscan } = await supervise(tree)
  const stop = endAtLast(() => svscan.kill('SIGKILL'))
  await untilState(tree, 'redis-worker-gpu0', 'ready', 20_000)
  await until('the machine is ready', 15_000, async () => {
    const entries = await redis.xrange(`machine:${MACHINE}:events`, '-', '+')
    return entries.some(([, fields]) => fields[1]!.includes('"machine.ready"'))
  })
  await until(
    'the status is there',
    5000,
    async () => (await redis.hget(`machine:${MACHINE}:status`, 'state')) === 'ready',
  )
  await stopMachine(tree.plan, () => {})
  stop()
  assert.equal(ofSecond(heard), [])
})

test('a Redis that comes late or anew hears the whole boot in order, and how the machine is now', async () => {
  const server = await redisServer()
  await server.kill()
  const tree = await announcedMachine(server.url)
  const { svscan } = await supervise(tree)
  const stop = endAtLast(() => svscan.kill('SIGKILL'))
  await untilState(tree, 'redis-worker-gpu0', 'ready', 20_000)
  for (const round of ['late', 'anew']) {
    if (round === 'anew') await server.kill()
    await server.start()
    const redis = client(server)
    const names = async () => {
      const keys = await redis.keys(`machine:startup:${MACHINE}:*`)
      return keys.map((key) => key.split(':')[3])
    }
    await until(`the boot is recorded: ${round}`, 15_000, async () => (await names()).includes('startup_complete'))
    const recorded = await names()
    for (const name of ['machine_startup', 'startup_step', 'service_started']) assert.ok(recorded.includes(name), name)
    const heard = await record(server)
    await until('the status is told', 5000, () => ofSecond(heard).at(-1)?.status.machine.phase === 'ready')
  }
  await stopMachine(tree.plan, () => {})
  stop()
})

test.run()
