/** One job from claim to result, with what the originals' job broker reads of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { Knobs } from '../knobs.ts'
import { runOnComfyUi } from './comfyui-client.ts'
import type { Job } from './messages.ts'
import type { WorkerSettings } from './settings.ts'

export interface JobContext {
  readonly settings: WorkerSettings
  readonly redis: Redis
  readonly knobs: Knobs
  readonly leaving: AbortSignal
  readonly log: (line: string) => void
}

const DAY_SECONDS = 24 * 3600
/** How long results stay: a day where the job went well, a week where it did not. */
const KEPT = { completed: DAY_SECONDS, failed: 7 * DAY_SECONDS } as const

/** Runs a job and reports it; true if it succeeded. Never rejects: a Redis that is away is said in the log. */
export async function runJob(context: JobContext, job: Job): Promise<boolean> {
  const { log } = context
  await tell(context, () => reportProgress(context, job, 0, 'in_progress'))
  let result: unknown
  try {
    result = await perform(context, job)
  } catch (error) {
    const reason = context.leaving.aborted ? 'Worker shutdown' : (error as Error).message
    log(`Job ${job.id} failed: ${reason}`)
    const canRetry = !context.leaving.aborted
    await tell(context, () => finish(context, job, 'failed', { error: reason, can_retry: canRetry }))
    return false
  }
  log(`Job ${job.id} completed`)
  await tell(context, () => reportProgress(context, job, 100, 'completed'))
  await tell(context, () => finish(context, job, 'completed', { result: { success: true, data: result } }))
  return true
}

async function perform({ settings, leaving }: JobContext, job: Job): Promise<unknown> {
  if (job.serviceType !== 'simulation') return runOnComfyUi(settings, job, leaving)
  await sleep(settings.simulationMs, undefined, { signal: leaving })
  return { simulated: true }
}

async function tell({ log }: JobContext, commands: () => Promise<unknown>): Promise<void> {
  try {
    await commands()
  } catch (error) {
    log(`cannot report a job: ${(error as Error).message}`)
  }
}

async function reportProgress(
  { redis, settings }: JobContext,
  job: Job,
  progress: number,
  status: string,
): Promise<void> {
  const report = { job_id: job.id, worker_id: settings.workerId, progress, status, timestamp: Date.now() }
  const fields = Object.entries(report).flatMap(([name, value]) => [name, String(value)])
  await redis.hset(`job:${job.id}:progress`, report)
  await redis.xadd(`progress:${job.id}`, '*', ...fields)
  await redis.publish('update_job_progress', JSON.stringify(report))
}

async function finish(
  { redis, settings }: JobContext,
  job: Job,
  status: 'completed' | 'failed',
  outcome: Record<string, unknown>,
): Promise<void> {
  const at = new Date().toISOString()
  const report = { job_id: job.id, worker_id: settings.workerId, status, ...outcome, timestamp: Date.now() }
  const text = JSON.stringify(report)
  await redis.hset(`job:${job.id}`, { status, [`${status}_at`]: at, worker_id: settings.workerId })
  await redis.hset(`jobs:${status}`, job.id, text)
  await redis.expire(`jobs:${status}`, KEPT[status])
  await redis.hdel(`jobs:active:${settings.workerId}`, job.id)
  if (!settings.unifiedStatus) await redis.hincrby(`worker:${settings.workerId}`, `total_jobs_${status}`, 1)
  await redis.publish(status === 'completed' ? 'complete_job' : 'job_failed', text)
}
