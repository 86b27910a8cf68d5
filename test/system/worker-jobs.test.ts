import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { Redis } from 'ioredis'
import { test } from 'uvu'
import { endAtLast, endLeftovers, redisServer } from '../runtime/redis-server.ts'
import { allReady, eventually, type RunningMachine, startMachine, stopAll, stopMachine } from './running-machine.ts'

const MACHINE = `
machine: { id: jobs-test, gpu: { count: 2, memoryGB: 24, model: Test GPU } }
services:
  comfyui: {}
  redisWorker: {}
`

/** The job server's side: the best pending job that the worker has the service for goes to it, in one step. */
const MATCHING = `#!lua name=jobMatching
redis.register_function('findMatchingJob', function(keys, args)
  local worker = cjson.decode(args[1])
  for _, id in ipairs(redis.call('ZREVRANGE', 'jobs:pending', 0, tonumber(args[2]) - 1)) do
    local wanted = redis.call('HGET', 'job:' .. id, 'service_required')
    for _, service in ipairs(worker.services) do
      if service == wanted and redis.call('ZREM', 'jobs:pending', id) == 1 then
        local now = redis.call('TIME')[1] .. '000'
        redis.call('HSET', 'job:' .. id, 'status', 'assigned', 'worker_id', worker.worker_id)
        redis.call('HSET', 'jobs:active:' .. worker.worker_id, id, now)
        redis.call('HSET', 'worker:' .. worker.worker_id, 'status', 'busy', 'current_job_id', id,
          'last_status_change', now)
        local fields, job = redis.call('HGETALL', 'job:' .. id), {}
        for index = 1, #fields, 2 do job[fields[index]] = fields[index + 1] end
        return cjson.encode({ jobId = id, job = job })
      end
    end
  end
  return nil
end)`

const workflow = (color: number) => ({
  '1': { class_type: 'EmptyImage', inputs: { width: 8, height: 8, batch_size: 1, color } },
  '2': { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
})

async function submit(redis: Redis, id: string, color: number): Promise<void> {
  const payload = JSON.stringify({ workflow: workflow(color) })
  await redis.hset(`job:${id}`, { id, service_required: 'comfyui', payload, status: 'pending' })
  await redis.zadd('jobs:pending', 1, id)
}

function client(port: number): Redis {
  const redis = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 50 })
  redis.on('error', () => {})
  endAtLast(() => redis.disconnect())
  return redis
}

const api = (machine: RunningMachine, path: string, init?: RequestInit) =>
  fetch(`http://127.0.0.1:${9090 + machine.portOffset}${path}`, init)

async function workerService(machine: RunningMachine, gpu: number) {
  const answer = await api(machine, `/services/redis-worker-gpu${gpu}`)
  return (await answer.json()) as {
    state: string
    workload: { currentJob: string | null; jobsProcessed: number } | null
    dependencies: { name: string; healthy: boolean }[]
  }
}

const jobsProcessed = async (machine: RunningMachine) => {
  const services = await Promise.all([0, 1].map((gpu) => workerService(machine, gpu)))
  return services.map(({ workload }) => workload?.jobsProcessed ?? 0)
}

test.after(async () => {
  await stopAll()
  endLeftovers()
})

test('workers take jobs from the queue, and the machine follows: idle, busy, what with, how many', async () => {
  const server = await redisServer()
  const redis = client(server.port)
  await redis.function('LOAD', MATCHING)
  const listener = client(server.port)
  const statuses: ReturnType<typeof JSON.parse>[] = []
  listener.on('pmessage', (_, __, text: string) => statuses.push(JSON.parse(text)))
  await listener.psubscribe('machine:status:*')
  const machine = await startMachine(MACHINE, {
    HUB_REDIS_URL: server.url,
    SIMULATE_STEP_MS_COMFYUI: '700',
  })
  await eventually('all ready', () => allReady(machine), 60_000)
  const last = () => statuses.at(-1)?.status
  await eventually('idle workers', () => last()?.workers['jobs-test-worker-1'].status === 'idle')
  const { dependencies } = await workerService(machine, 0)
  assert.deepEqual(
    dependencies.map(({ name, healthy }) => [name, healthy]),
    [
      ['comfyui-gpu0', true],
      ['redis', true],
    ],
  )

  await submit(redis, 'first', 1)
  const busy = await eventually('the job at a worker', async () => {
    const services = await Promise.all([0, 1].map((gpu) => workerService(machine, gpu)))
    const gpu = services.findIndex(({ workload }) => workload?.currentJob === 'first')
    return gpu === -1 ? null : { gpu }
  })
  const id = `jobs-test-worker-${busy.gpu}`
  await eventually('a busy worker', () => last()?.workers[id].current_job_id === 'first')
  assert.equal(last().workers[id].status, 'busy')
  assert.equal(await redis.hget(`worker:${id}`, 'status'), 'busy')
  const metrics = await (await api(machine, '/metrics')).text()
  assert.match(metrics, new RegExp(`machine_worker_busy\\{[^}]*gpu="${busy.gpu}"[^}]*\\} 1\n`))
  await eventually('the end of the job', async () => (await redis.hget('job:first', 'status')) === 'completed')
  await eventually('an idle worker', () => last()?.workers[id].status === 'idle')
  assert.equal(last().workers[id].current_job_id, null)

  for (const job of ['second', 'third', 'fourth']) await submit(redis, job, job.length)
  await eventually('all jobs counted', async () => (await jobsProcessed(machine)).reduce((a, b) => a + b) === 4)
  assert.ok(
    (await jobsProcessed(machine)).every((count) => count > 0),
    'both have worked',
  )
  await eventually('the metrics of it', async () => {
    const text = await (await api(machine, '/metrics')).text()
    const counts = [...text.matchAll(/machine_jobs_processed_total\{[^}]*\} (\d+)/g)].map((match) => Number(match[1]))
    return counts.reduce((a, b) => a + b, 0) === 4
  })
  const entries = await redis.xrange('machine:jobs-test:events', '-', '+')
  const told = entries.map(([, fields]) => JSON.parse(fields[1]!)).filter(({ worker }) => worker === id)
  const states = told.filter(({ type }) => type === 'worker.state').map(({ status }) => status)
  assert.match(states.join(' '), /^announcing .*ready busy ready/)
  assert.equal(told.find(({ status }) => status === 'busy').context.job, 'first')

  await envFileAlone(machine, redis)
  assert.equal(await stopMachine(machine), 0)
  assert.equal(last().machine.phase, 'shutdown')
})

/** A worker that is given its env file and nothing else works as the one that the machine runs. */
async function envFileAlone(machine: RunningMachine, redis: Redis): Promise<void> {
  const token = readFileSync(`${machine.stateDirectory}/workspace/.machine/api-token`, 'utf8').trim()
  const headers = { authorization: `Bearer ${token}` }
  for (const gpu of [0, 1]) {
    await api(machine, `/services/redis-worker-gpu${gpu}/stop`, { method: 'POST', headers })
    await eventually('a stopped worker', async () => (await workerService(machine, gpu)).state === 'down')
  }
  const env = parseEnv(
    readFileSync(`${machine.stateDirectory}/workspace/worker_gpu1/.env`, 'utf8'),
  ) as NodeJS.ProcessEnv
  const child = spawn(process.execPath, ['dist/simulate.js', 'redis-worker'], { env, stdio: 'ignore' })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const end = endAtLast(() => child.kill('SIGTERM'))
  await submit(redis, 'fifth', 5)
  await eventually('the job done', async () => (await redis.hget('job:fifth', 'status')) === 'completed')
  assert.equal(await redis.hget('job:fifth', 'worker_id'), 'jobs-test-worker-1')
  end()
  await ended
}

test.run()
