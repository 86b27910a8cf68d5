import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { connectRedis, type RedisConnection } from '../../runtime/sidecar/events/redis-connection.ts'
import { parseRedisUrl } from '../../runtime/sidecar/events/redis-target.ts'
import { type FollowWorkersOptions, followWorkers } from '../../runtime/sidecar/workers/follow-workers.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { until } from './local-tree.ts'
import { endAtLast, endLeftovers, type RedisServer, redisServer } from './redis-server.ts'

test.after(endLeftovers)

const WORKER = 'test-machine-worker-0'
const HEARTBEAT = `worker:${WORKER}:heartbeat`
const CHANNEL = `machine:test-machine:worker:${WORKER}`

/** Follows one worker with short times; `url` may name another user for the connection that listens. */
function follow({ url }: Pick<RedisServer, 'url'>, listenUrl = url, more: Partial<FollowWorkersOptions> = {}) {
  const changes: string[] = []
  const connectTo = (where: string) => (onClose: () => void) =>
    connectRedis({
      target: parseRedisUrl(where),
      certificateAuthority: null,
      connectionName: 'test',
      timeoutMs: 1000,
      onClose,
    })
  let asking: RedisConnection | null = null
  const workers = followWorkers({
    plan: planFixture({ types: ['redis-worker'], services: { 'redis-worker-gpu0': { workerId: WORKER } } }),
    connect: connectTo(listenUrl),
    ask: async (commands) => {
      asking ??= await connectTo(url)(() => {
        asking = null
      })
      return asking.send(commands)
    },
    onChange: (id) => changes.push(id),
    heartbeatMs: 600,
    readIntervalMs: 100,
    ...more,
  })
  workers.wake()
  const end = endAtLast(() => {
    workers.close()
    asking?.close()
  })
  return { workers, changes, end }
}

function client({ port }: RedisServer): Redis {
  const redis = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 50 })
  redis.on('error', () => {})
  endAtLast(() => redis.disconnect())
  return redis
}

const say = (redis: Redis, status: string, job: string | null = null) => {
  const data = { status, current_job_id: job, is_connected: status !== 'offline' }
  const message = { worker_id: WORKER, event_type: 'worker_status_changed', data, timestamp: Date.now() }
  return redis.publish(CHANNEL, JSON.stringify(message))
}

const beat = (redis: Redis) => redis.set(HEARTBEAT, new Date().toISOString(), 'PX', 600)

test('words count at once, and a job that is told of is the one that it is busy with', async () => {
  const server = await redisServer()
  const redis = client(server)
  const { workers, changes, end } = follow(server)
  await until('it listens', 5000, async () => (await say(redis, 'idle')) === 1)
  await until('it has heard', 3000, () => workers.saysReady(WORKER, 0))
  await say(redis, 'busy', 'a')
  await until('it knows the job', 3000, () => workers.workload(WORKER, 0)?.currentJob === 'a')
  assert.is(workers.workload(WORKER, Date.now() + 1000)?.currentJob, null, 'that was the run before')
  await say(redis, 'idle')
  await until('the job is counted', 3000, () => workers.workload(WORKER, 0)?.jobsProcessed === 1)
  assert.ok(changes.length >= 3 && changes.every((id) => id === WORKER))
  await redis.publish(CHANNEL, 'no JSON')
  await redis.publish('machine:test-machine:worker:somebody', '{"event_type":"job_started"}')
  await say(redis, 'error')
  await until('it is not ready', 3000, () => workers.saysReady(WORKER, 0) === false)
  end()
})

test('a heart that stops is seen within its time, and seen again when it beats', async () => {
  const server = await redisServer()
  const redis = client(server)
  const { workers, end } = follow(server)
  const heart = setInterval(() => void beat(redis), 100)
  endAtLast(() => clearInterval(heart))
  await until('it beats', 3000, () => workers.saysReady(WORKER, 0))
  await sleep(1000)
  assert.is(workers.saysReady(WORKER, 0), true)
  clearInterval(heart)
  await until('its end is seen', 3000, () => workers.saysReady(WORKER, 0) === false)
  await beat(redis)
  await until('it beats again', 3000, () => workers.saysReady(WORKER, 0))
  end()
})

test('Redis that dies takes nothing of what is known, and is followed again when it is back', async () => {
  const server = await redisServer()
  const redis = client(server)
  const { workers, end } = follow(server)
  await until('it listens', 5000, async () => (await say(redis, 'busy', 'a')) === 1)
  await beat(redis)
  await until('it knows the job', 3000, () => workers.workload(WORKER, 0)?.currentJob === 'a')
  await server.kill()
  await sleep(1500)
  assert.is(workers.saysReady(WORKER, 0), true, 'nobody can say otherwise')
  await server.start()
  await beat(redis)
  await redis.hset(`worker:${WORKER}`, { status: 'idle', current_job_id: '' })
  await until('the hash is read', 5000, () => workers.workload(WORKER, 0)?.jobsProcessed === 1)
  await until('it listens again', 5000, async () => (await say(redis, 'busy', 'b')) === 1)
  await until('it knows the next job', 3000, () => workers.workload(WORKER, 0)?.currentJob === 'b')
  end()
})

test('a user who may not listen follows by what may be read', async () => {
  const server = await redisServer()
  const redis = client(server)
  await redis.call('ACL', 'SETUSER', 'ann', 'on', '>hush-hush', '~*', '+@all', 'resetchannels')
  const { workers, end } = follow(server, `redis://ann:hush-hush@127.0.0.1:${server.port}`)
  await redis.hset(`worker:${WORKER}`, { status: 'busy', current_job_id: 'a', total_jobs_completed: '7' })
  await until('the hash is read', 5000, () => workers.workload(WORKER, 0)?.currentJob === 'a')
  assert.is(workers.workload(WORKER, 0)?.jobsProcessed, 7)
  await sleep(1000)
  const attempts = await redis.call('ACL', 'LOG', '1').then((log) => (log as [[string, number]])[0][1])
  assert.ok(attempts < 15, `${attempts} attempts`)
  end()
})

test.run()
