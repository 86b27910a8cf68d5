/** Starts the stand-in for the job worker: one worker, one job at a time. */
import type { Redis } from 'ioredis'
import type { Knobs } from '../knobs.ts'
import { beforeListening, onceListening } from '../misbehaviour.ts'
import { runJob } from './jobs.ts'
import { capabilities, type Job, readJob, statusData, type WorkerStatus, workerEvent } from './messages.ts'
import { connectForEver } from './redis-connection.ts'
import { readSettings, type WorkerSettings } from './settings.ts'

/** Redis forgets a worker that has been silent for so long. */
const HEARTBEAT_SECONDS = 60
/** How many waiting jobs the matching function looks at. */
const MAX_SCAN = 100
/** A Redis that does not answer must not delay the end of the process. */
const FAREWELL_MS = 1_000

const log = (line: string) => void process.stdout.write(`${new Date().toISOString()} [worker] ${line}\n`)

interface Worker {
  readonly settings: WorkerSettings
  readonly redis: Redis
  readonly knobs: Knobs
  readonly leaving: AbortController
  status: WorkerStatus
  job: Job | undefined
  /** The job on its way, to be waited for at the end. */
  running: Promise<void>
  /** The server does not have the matching function: said once. */
  missesFunction: boolean
}

/** Runs until SIGTERM or SIGINT, which end it with 0 after it has said goodbye; 1 without a WORKER_ID. */
export async function startRedisWorker(words: readonly string[], knobs: Knobs): Promise<void> {
  const read = readSettings(process.env)
  if (words.length > 0 || 'problem' in read) {
    log('problem' in read ? `❌ ${read.problem}` : `❌ unexpected argument "${words[0]}"`)
    process.exit(1)
  }
  const { settings } = read
  await beforeListening(knobs, log)
  log(`Worker ${settings.workerId} of ${settings.machineId} starting, connectors: ${settings.connectors.join(', ')}`)
  const leaving = new AbortController()
  const redis = await connectForEver(settings.redisUrl, log, () => void announce(worker))
  const worker: Worker = {
    ...{ settings, redis, knobs, leaving },
    status: 'idle',
    job: undefined,
    running: Promise.resolve(),
    missesFunction: false,
  }
  const timers = [
    setInterval(() => void beat(worker), settings.heartbeatMs),
    setInterval(() => {
      if (worker.status === 'idle' && redis.status === 'ready') worker.running = poll(worker)
    }, settings.pollMs),
  ]
  const stop = (signal: string) => {
    for (const timer of timers) clearInterval(timer)
    void sayGoodbye(worker, signal).finally(() => process.exit(0))
  }
  if (!knobs.ignoreStop) for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop(signal))
  onceListening(knobs, log)
}

/** Runs Redis commands, and says so when they fail: the next beat tries again. */
async function attempt(worker: Worker, what: string, commands: (redis: Redis) => Promise<unknown>): Promise<void> {
  if (worker.redis.status !== 'ready') return
  try {
    await commands(worker.redis)
  } catch (error) {
    log(`cannot ${what}: ${(error as Error).message}`)
  }
}

async function announce(worker: Worker): Promise<void> {
  const { settings } = worker
  await beat(worker)
  await attempt(worker, 'register', async (redis) => {
    if (settings.unifiedStatus) return
    const now = new Date().toISOString()
    await redis.hset(`worker:${settings.workerId}`, {
      worker_id: settings.workerId,
      machine_id: settings.machineId,
      capabilities: JSON.stringify(capabilities(settings)),
      status: worker.status,
      connected_at: now,
      last_heartbeat: now,
      total_jobs_completed: 0,
      total_jobs_failed: 0,
    })
    await redis.sadd('workers:active', settings.workerId)
  })
  await tellStatus(worker, worker.status)
}

function beat(worker: Worker): Promise<void> {
  const { workerId } = worker.settings
  return attempt(worker, 'send the heartbeat', (redis) =>
    redis.set(`worker:${workerId}:heartbeat`, new Date().toISOString(), 'EX', HEARTBEAT_SECONDS),
  )
}

async function tellStatus(worker: Worker, status: WorkerStatus): Promise<void> {
  worker.status = status
  await publish(worker, 'worker_status_changed', statusData(worker.settings, status, worker.job?.id))
  await attempt(worker, 'store the status', (redis) =>
    redis.hset(`worker:${worker.settings.workerId}`, { status, current_job_id: worker.job?.id ?? '' }),
  )
}

function publish(worker: Worker, type: string, data: Record<string, unknown>): Promise<void> {
  const { machineId, workerId } = worker.settings
  const message = workerEvent(worker.settings, type, data)
  return attempt(worker, 'publish an event', (redis) =>
    redis.publish(`machine:${machineId}:worker:${workerId}`, message),
  )
}

async function poll(worker: Worker): Promise<void> {
  // From here on no second poll starts, however long the answer takes.
  worker.status = 'busy'
  worker.job = await claim(worker)
  const { job, settings } = worker
  if (job === undefined) {
    worker.status = 'idle'
    return
  }
  log(`Job ${job.id} claimed (${job.serviceType})`)
  await tellStatus(worker, 'busy')
  if (settings.unifiedStatus) await publish(worker, 'job_started', { job_id: job.id, service_type: job.serviceType })
  const { redis, knobs, leaving } = worker
  const succeeded = await runJob({ settings, redis, knobs, leaving: leaving.signal, log }, job)
  if (settings.unifiedStatus) {
    const data = { job_id: job.id, service_type: job.serviceType }
    await publish(worker, succeeded ? 'job_completed' : 'job_failed', data)
  }
  worker.job = undefined
  if (!leaving.signal.aborted) await tellStatus(worker, 'idle')
}

async function claim(worker: Worker): Promise<Job | undefined> {
  try {
    const wanted = JSON.stringify(capabilities(worker.settings))
    const answer = await worker.redis.fcall('findMatchingJob', 0, wanted, String(MAX_SCAN))
    worker.missesFunction = false
    return readJob(answer)
  } catch (error) {
    const { message } = error as Error
    const isMissing = /function not found/i.test(message)
    if (!isMissing) log(`cannot claim a job: ${message}`)
    else if (!worker.missesFunction) log('cannot claim a job: Redis has no function "findMatchingJob", will ask again')
    worker.missesFunction = isMissing
    return undefined
  }
}

/** Reports offline while the connection is still there, then closes it; a running job is given up first. */
async function sayGoodbye(worker: Worker, signal: string): Promise<void> {
  const { settings, redis, leaving } = worker
  log(`${signal} received, shutting down`)
  leaving.abort()
  const limit = setTimeout(() => process.exit(0), FAREWELL_MS)
  await worker.running
  await tellStatus(worker, 'offline')
  await attempt(worker, 'say goodbye', async () => {
    const reason = process.env.SHUTDOWN_REASON ?? 'Docker container shutdown'
    const farewell = { event_type: 'shutdown', machine_id: settings.machineId, worker_id: settings.workerId, reason }
    await redis.publish('machine:startup:events', JSON.stringify({ ...farewell, timestamp: Date.now() }))
    await redis.del(`worker:${settings.workerId}`, `worker:${settings.workerId}:heartbeat`)
    await redis.srem('workers:active', settings.workerId)
  })
  if (redis.status === 'ready') await redis.quit()
  clearTimeout(limit)
  log('Worker stopped')
}
