import { writeFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { stopMachine } from '../../runtime/local/stop-machine.ts'
import { spoolDirectory, spoolEvent } from '../../runtime/shared/event-spool.ts'
import { statusKey } from '../../runtime/sidecar/events/redis-voice.ts'
import type { Plan } from '../../schema/plan.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { brief } from './event-story.ts'
import { until } from './local-tree.ts'
import { endAtLast, endLeftovers, type RedisServer, redisServer } from './redis-server.ts'
import { readStream } from './stream-reader.ts'
import { type MachineTree, supervise, untilState, writeMachine } from './supervised-machine.ts'

test.after(endLeftovers)

const MACHINE = 'test-machine'
const WORKER = `${MACHINE}-worker-0`

/** A machine with a Redis, or with the URL of one. */
async function announcedMachine(template: string): Promise<MachineTree> {
  const tree = await writeMachine([
    { name: 'front', http: true, delayMs: 300 },
    { name: 'worker', gpu: 0, workerId: WORKER, waitsFor: ['front'] },
  ])
  const secret = { name: 'redis-url', field: '/redis/url', source: { kind: 'reference' as const, template } }
  const redis = { ...planFixture().redis, urlSecret: 'redis-url' }
  const plan: Plan = { ...tree.plan, redis, secrets: [secret] }
  writeFileSync(tree.planFile, JSON.stringify(plan))
  return { ...tree, plan }
}

const client = ({ port }: RedisServer) => {
  const redis = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 50 })
  endAtLast(() => redis.disconnect())
  return redis
}

test('the life of a machine as Redis hears it: announced, booted, hurt, told to stop, gone', async () => {
  const server = await redisServer()
  const reader = readStream(server.port, `machine:${MACHINE}:events`)
  const tree = await announcedMachine(server.url)
  const startedMs = Date.now()
  const { svscan } = await supervise(tree)
  const stop = endAtLast(() => svscan.kill('SIGKILL'))
  const has = (what: string) => reader.events.some((event) => brief(event) === what)
  await until('the machine is ready', 15_000, () => has('machine.ready ready'))
  const [started] = reader.events
  assert.is(started?.type, 'machine.started')
  assert.ok(Date.parse(started!.at) - startedMs < 3000, 'also where the computer is busy')
  const workerStates = () => reader.events.filter(({ worker, type }) => worker === WORKER && type === 'worker.state')
  assert.equal(
    workerStates().map(({ status }) => status),
    ['announcing', 'starting', 'ready'],
  )

  const front = await untilState(tree, 'front', 'ready')
  process.kill(front.pid, 'SIGKILL')
  await until('the death is told', 5000, () => has('service.failed front waiting'))
  await until('the return is told', 15_000, () => has('service.restarted front starting'))
  spoolEvent(spoolDirectory(tree.plan.paths), { type: 'provision.item', service: 'models', status: 'ok' }, Date.now())
  await until('others are heard', 5000, () => has('provision.item models ok'))

  const { pid } = await untilState(tree, 'sidecar', 'ready')
  process.kill(pid, 'SIGKILL')
  await until('the next sidecar tells of its own end', 15_000, () => has('service.restarted sidecar ready'))
  await untilState(tree, 'front', 'ready')
  assert.is(reader.events.filter(({ type }) => type === 'machine.started').length, 1)
  assert.is(workerStates().length, 3, 'nothing is told twice')

  const redis = client(server)
  await until('the status is ready', 5000, async () => (await redis.hget(statusKey(MACHINE), 'state')) === 'ready')
  assert.equal(JSON.parse((await redis.hget(statusKey(MACHINE), 'workers')) ?? ''), { [WORKER]: 'ready' })

  await stopMachine(tree.plan, () => {})
  stop()
  await until('the goodbye is heard', 3000, () => has('machine.stopped stopped'))
  const order = reader.events.map(brief)
  const stopping = order.indexOf('machine.stopping stopping')
  const goodbye = order.slice(stopping)
  assert.ok(stopping > 0 && goodbye.includes(`worker.state ${WORKER} stopped`), goodbye.join('\n'))
  assert.is(goodbye.at(-1), 'machine.stopped stopped')
  assert.is(await redis.hget(statusKey(MACHINE), 'state'), 'stopped')
  assert.equal(reader.flaws, [])
})

test('Redis away delays neither a boot nor a stop, and a URL that is none is said', async () => {
  for (const url of ['redis://127.0.0.1:1', 'redis://default:hush-hush@host:port']) {
    const tree = await announcedMachine(url)
    const { svscan } = await supervise(tree)
    const stop = endAtLast(() => svscan.kill('SIGKILL'))
    await untilState(tree, 'worker', 'ready')
    const { body } = await tree.ask('/status')
    assert.not.match(JSON.stringify(body), 'hush-hush')
    const startedMs = performance.now()
    await stopMachine(tree.plan, () => {})
    stop()
    assert.ok(performance.now() - startedMs < 3000)
  }
})

test.run()
