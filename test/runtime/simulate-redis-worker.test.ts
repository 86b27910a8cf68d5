import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryDirectory } from '../temporary-directory.ts'
import { end, endAll, freePort, startSimulated } from './start-simulated.ts'

const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

async function startRedis(port: number): Promise<ChildProcess> {
  const words = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', temporaryDirectory()]
  const child = spawn('redis-server', words, { stdio: 'ignore' })
  children.add(child)
  child.on('exit', () => children.delete(child))
  for (let attempt = 0; attempt < 100; attempt++) {
    if (await accepts(port)) return child
    await sleep(50)
  }
  throw new Error('redis-server did not start')
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}

/** A client that tried for ever would keep a failed test from ending. */
const giveUpAfter = (attempts: number): number | null => (attempts > 50 ? null : 100)

/** The server's side of the job queue, as much of it as a worker sees: the first pending job goes to who asks. */
const MATCHING = `#!lua name=jobMatching
redis.register_function('findMatchingJob', function(keys, args)
  local found = redis.call('ZPOPMIN', 'jobs:pending')
  if not found[1] then return nil end
  local worker = cjson.decode(args[1]).worker_id
  redis.call('HSET', 'worker:' .. worker, 'status', 'busy', 'current_job_id', found[1])
  redis.call('HSET', 'jobs:active:' .. worker, found[1], '1')
  local job = redis.call('HGETALL', 'job:' .. found[1])
  local fields = {}
  for index = 1, #job, 2 do fields[job[index]] = job[index + 1] end
  return cjson.encode({ jobId = found[1], job = fields })
end)`

const PICTURE = {
  '1': { class_type: 'EmptyImage', inputs: { width: 8, height: 8, batch_size: 1, color: 0 } },
  '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
}

async function submit(redis: Redis, id: string, workflow: unknown): Promise<void> {
  await redis.hset(`job:${id}`, { id, service_required: 'comfyui', payload: JSON.stringify({ workflow }) })
  await redis.zadd('jobs:pending', 1, id)
}

async function until<T>(read: () => Promise<T> | T, isThere: (value: T) => boolean): Promise<T> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const value = await read()
    if (isThere(value)) return value
    await sleep(30)
  }
  throw new Error(`not there in time: ${JSON.stringify(await read())}`)
}

test('without a worker id the worker does not start', async () => {
  const worker = startSimulated(['redis-worker'])
  assert.equal(await worker.exited, { code: 1, signal: null })
  assert.match(worker.output(), 'WORKER_ID')
})

test('a worker waits for Redis, claims jobs, runs them on its ComfyUI and says goodbye first', async () => {
  const [redisPort, comfyPort] = [await freePort(), await freePort()]
  const directory = temporaryDirectory()
  mkdirSync(join(directory, 'user'))
  const comfy = startSimulated(['comfyui', '--port', String(comfyPort)], { SIMULATE_OOM_EVERY: '2' }, directory)
  const worker = startSimulated(['redis-worker'], {
    WORKER_ID: 'box-worker-0',
    MACHINE_ID: 'box',
    HUB_REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    WORKER_CONNECTORS: 'comfyui:1',
    WORKER_COMFYUI_HOST: '127.0.0.1',
    WORKER_COMFYUI_PORT: String(comfyPort),
    WORKER_POLL_INTERVAL_MS: '50',
  })
  await worker.waitFor(/cannot reach Redis/)
  const server = await startRedis(redisPort)
  const redis = new Redis({ host: '127.0.0.1', port: redisPort, retryStrategy: giveUpAfter })
  const listener = new Redis({ host: '127.0.0.1', port: redisPort, retryStrategy: giveUpAfter })
  const heard: [string, Record<string, never>][] = []
  listener.on('message', (channel, text) => heard.push([channel, JSON.parse(text)]))
  const events = 'machine:box:worker:box-worker-0'
  await listener.subscribe(events, 'complete_job', 'job_failed', 'update_job_progress', 'machine:startup:events')

  await worker.waitFor(/Connected to Redis/)
  await worker.waitFor(/no function "findMatchingJob"/)
  const lifetime = await until(
    () => redis.ttl('worker:box-worker-0:heartbeat'),
    (seconds) => seconds > 0,
  )
  assert.ok(lifetime > 50 && lifetime <= 60)
  await until(
    () => redis.hget('worker:box-worker-0', 'machine_id'),
    (id) => id === 'box',
  )

  await redis.function('LOAD', MATCHING)
  await comfy.waitFor(/To see the GUI/)
  await submit(redis, 'good', PICTURE)
  await until(
    () => heard,
    (list) => list.some(([channel]) => channel === 'complete_job'),
  )
  const done = heard.find(([channel]) => channel === 'complete_job')?.[1] as unknown as Record<string, unknown>
  assert.equal([done.job_id, done.worker_id], ['good', 'box-worker-0'])
  assert.match(JSON.stringify(done.result), '"type":"temp"')
  assert.is(await redis.hget('job:good', 'status'), 'completed')
  assert.is(await redis.hexists('jobs:active:box-worker-0', 'good'), 0)
  assert.ok((await redis.xlen('progress:good')) >= 2)

  await submit(redis, 'greedy', { ...PICTURE, '1': { ...PICTURE['1'], inputs: { ...PICTURE['1'].inputs, color: 1 } } })
  await until(
    () => heard,
    (list) => list.some(([channel]) => channel === 'job_failed'),
  )
  const failed = heard.find(([channel]) => channel === 'job_failed')?.[1] as unknown as Record<string, unknown>
  assert.match(String(failed.error), 'CUDA out of memory')

  await until(
    () => redis.hget('worker:box-worker-0', 'status'),
    (status) => status === 'idle',
  )
  assert.equal(await end(worker, 'SIGTERM'), { code: 0, signal: null })
  const said = heard
    .filter(([channel]) => channel === events)
    .map(([, { data }]) => (data as unknown as { status: string }).status)
  const [first, ...rest] = said
  assert.is(first, 'idle')
  assert.equal(rest, ['busy', 'idle', 'busy', 'idle', 'offline'])
  const [channel, farewell] = heard.at(-1) ?? []
  assert.equal([channel, farewell?.event_type], ['machine:startup:events', 'shutdown'])
  assert.is(await redis.exists('worker:box-worker-0', 'worker:box-worker-0:heartbeat'), 0)
  redis.disconnect()
  listener.disconnect()
  server.kill('SIGTERM')
  await end(comfy)
})

test('a worker whose Redis is away ends at once when it is told to', async () => {
  const worker = startSimulated(['redis-worker'], {
    WORKER_ID: 'w',
    HUB_REDIS_URL: `redis://127.0.0.1:${await freePort()}`,
  })
  await worker.waitFor(/cannot reach Redis/)
  const startMs = performance.now()
  assert.equal(await end(worker, 'SIGTERM'), { code: 0, signal: null })
  assert.ok(performance.now() - startMs < 2_000)
})

test.after(endAll)
test.run()
