import type { Plan } from '../../../schema/plan.ts'
import { type Bell, createBell } from '../events/bell.ts'
import type { RedisCommand, RedisConnection } from '../events/redis-connection.ts'
import { retryDelayMs } from '../events/redis-problem.ts'
import { knownWorkload, type Workload } from '../workload/workload.ts'
import {
  HASH_FIELDS,
  hearWorker,
  isWorkerReady,
  readWorkerKeys,
  readWorkerMessage,
  UNHEARD_WORKER,
  type WorkerRecord,
} from './worker-record.ts'

/** The job workers of this machine, as Redis knows them. */
export interface Workers {
  readonly record: (workerId: string) => WorkerRecord
  /** Whether the run of a worker that began then is ready; `null` where Redis says nothing of it. */
  readonly saysReady: (workerId: string, launchedAtMs: number) => boolean | null
  /** What that run is busy with; `null` where Redis says nothing of it. */
  readonly workload: (workerId: string, launchedAtMs: number) => Workload | null
  /** Redis can be asked, again or for the first time. */
  readonly wake: () => void
  readonly close: () => void
}

export interface FollowWorkersOptions {
  readonly plan: Pick<Plan, 'machine' | 'services'>
  readonly connect: (onClose: () => void) => Promise<RedisConnection>
  /** Over the connection that events go out by, which may be `null` now. */
  readonly ask: (commands: readonly RedisCommand[]) => Promise<readonly unknown[] | null>
  /** Something of a worker is different now. */
  readonly onChange: (workerId: string) => void
  /** A message on another channel that was asked for. */
  readonly others?: { readonly channel: string; readonly onMessage: (text: string) => void }
  readonly nowMs?: () => number
  /** The life of a heartbeat. */
  readonly heartbeatMs?: number
  /** How often heartbeats and hashes are read. */
  readonly readIntervalMs?: number
}

/** Workers keep `worker:<id>:heartbeat` for so long, and renew it twice in that time; 5 s for what is late. */
const HEARTBEAT_MS = 65_000
const READ_INTERVAL_MS = 10_000
const RETRY_MS = 1000

/**
 * Follows the workers by what they say on `machine:<id>:worker:*`, and reads their keys now and then: for what was said
 * while nobody listened, and for hearts that do not beat any more. Redis away changes nothing of what is known.
 */
export function followWorkers(options: FollowWorkersOptions): Workers {
  const { plan, connect, ask, onChange, others, nowMs = Date.now, readIntervalMs = READ_INTERVAL_MS } = options
  const heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS
  const ids = plan.services.flatMap(({ workerId }) => workerId ?? [])
  const records = new Map<string, WorkerRecord>()
  const spoken = new Set<string>()
  const pause = createBell()
  /** Of the session that is open: what ends it must not wake the pause after it. */
  let session: Bell | null = null
  const prefix = `machine:${plan.machine.id}:worker:`
  let isClosed = false
  let connection: RedisConnection | null = null
  let connectedSinceMs: number | null = null
  let failures = 0

  const recordOf = (id: string): WorkerRecord => records.get(id) ?? UNHEARD_WORKER

  const put = (id: string, record: WorkerRecord) => {
    const before = recordOf(id)
    records.set(id, record)
    if (isNews(before, record)) onChange(id)
  }

  const hear = (channel: string, text: string) => {
    if (channel === others?.channel) return others.onMessage(text)
    const id = channel.slice(prefix.length)
    const message = ids.includes(id) ? readWorkerMessage(text) : null
    if (message === null) return
    spoken.add(id)
    put(id, hearWorker(recordOf(id), message.type, message.data, nowMs()))
  }

  const read = async () => {
    const commands = ids.flatMap((id): RedisCommand[] => [
      ['hmget', `worker:${id}`, ...HASH_FIELDS],
      ['get', `worker:${id}:heartbeat`],
    ])
    const replies = await ask(commands).catch(() => null)
    if (replies === null) {
      connectedSinceMs = null
      return
    }
    connectedSinceMs ??= nowMs()
    for (const [index, id] of ids.entries()) {
      const [hash, heartbeat] = [replies[2 * index], replies[2 * index + 1]]
      if (hash instanceof Error || heartbeat instanceof Error || !Array.isArray(hash)) continue
      const keys = {
        hash: Object.fromEntries(HASH_FIELDS.map((field, at) => [field, (hash[at] ?? null) as string | null])),
        heartbeat: typeof heartbeat === 'string' ? heartbeat : null,
      }
      const known = { nowMs: nowMs(), connectedSinceMs, hasSpoken: spoken.has(id), heartbeatMs }
      put(id, readWorkerKeys(recordOf(id), keys, known))
    }
  }

  const listen = async () => {
    let isLost = false
    const work = createBell()
    const open = await connect(() => {
      isLost = true
      work.ring()
    })
    connection = open
    session = work
    try {
      // What was said while nobody listened shows in the keys alone.
      spoken.clear()
      await open.listen([`${prefix}*`, ...(others === undefined ? [] : [others.channel])], hear)
      failures = 0
      while (!isClosed && !isLost) {
        await read()
        await work.wait(connectedSinceMs === null ? RETRY_MS : readIntervalMs)
        if (!isClosed && !isLost) await open.ping()
      }
    } finally {
      connection = null
      session = null
      open.close()
    }
  }

  const run = async () => {
    // The first events go out before anything is asked.
    await pause.wait(RETRY_MS)
    while (!isClosed) {
      await listen().catch(() => {
        failures += 1
      })
      if (isClosed) return
      // A user who may not listen may be one who may read.
      await read()
      await pause.wait(Math.min(retryDelayMs('away', failures + 1, Math.random()), readIntervalMs))
    }
  }

  void run()
  return {
    record: recordOf,
    saysReady: (id, launchedAtMs) => isWorkerReady(records.get(id), launchedAtMs),
    workload: (id, launchedAtMs) => {
      const record = records.get(id)
      if (record === undefined) return null
      const isOfThisRun = (record.saidAtMs ?? 0) >= launchedAtMs
      return knownWorkload({
        atMs: record.saidAtMs ?? nowMs(),
        currentJob: isOfThisRun ? record.currentJob : null,
        jobsProcessed: record.jobsProcessed,
      })
    },
    wake: () => (session ?? pause).ring(),
    close: () => {
      isClosed = true
      connection?.close()
      session?.ring()
      pause.ring()
    },
  }
}

function isNews(before: WorkerRecord, after: WorkerRecord): boolean {
  return (['status', 'currentJob', 'jobsProcessed', 'isSilent', 'connectors', 'version'] as const).some(
    (key) => before[key] !== after[key],
  )
}
