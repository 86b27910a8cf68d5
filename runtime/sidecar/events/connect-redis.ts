import type { Environment } from '../../../schema/interpolation.ts'
import type { Plan } from '../../../schema/plan.ts'
import { resolveSecrets } from '../../shared/resolve-secrets.ts'
import type { Log } from '../log.ts'
import type { SidecarView } from '../view.ts'
import { followWorkers, type Workers } from '../workers/follow-workers.ts'
import { UNHEARD_WORKER, type WorkerRecord } from '../workers/worker-record.ts'
import type { EventJournal } from './event-journal.ts'
import type { FileJournal } from './file-journal.ts'
import { hostFacts, resolvePublicUrl } from './originals/host-facts.ts'
import { machineStatus, type UpdateType } from './originals/machine-status.ts'
import { STARTUP_CHANNEL, type StartupVoice, startupVoice } from './originals/startup-voice.ts'
import { statusVoice } from './originals/status-voice.ts'
import { type Outbox, startOutbox } from './outbox.ts'
import type { OutboxCursor } from './outbox-cursor.ts'
import { connectRedis } from './redis-connection.ts'
import { parseRedisUrl, type RedisTarget } from './redis-target.ts'
import { eventStream, type RedisVoice, streamVoice } from './redis-voice.ts'
import { statusFields } from './status-fields.ts'
import type { Told } from './told.ts'

export interface RedisPartsOptions {
  readonly view: SidecarView
  readonly environment: Environment
  readonly journal: FileJournal
  readonly cursor: OutboxCursor
  readonly log: Log
  readonly told: () => Told
  /** What Redis says of a worker has changed. */
  readonly onWorkerChange: () => void
}

/** All that goes over Redis: events and statuses out, the words of workers in. */
export interface RedisParts {
  readonly outbox: Outbox
  /** `null` where the machine has no workers, or its URL is none. */
  readonly workers: Workers | null
}

const TIMEOUT_MS = 5000

/**
 * The way to the Redis of the machine file, as its URL resolves in this environment. `null` where it resolves to nothing:
 * events then stay on the machine. A URL that cannot be used is said once, and is the problem that the outbox shows.
 */
export function connectRedisParts(options: RedisPartsOptions): RedisParts | null {
  const { view, environment, journal, cursor, log } = options
  const { plan } = view
  const found = findTarget(plan, environment)
  if (found === null) return null
  if (typeof found === 'string') {
    log.error(`${found}; events stay on the machine`)
    return { outbox: unusableOutbox(found, journal, cursor), workers: null }
  }
  const { target } = found
  const { username, password, sentinelPassword } = target
  const connect = (name: string) => (onClose: () => void) =>
    connectRedis({
      target,
      certificateAuthority: plan.redis.certificateAuthority,
      connectionName: `${name}-${plan.machine.id}`,
      timeoutMs: TIMEOUT_MS,
      onClose,
    })
  let workers: Workers | null = null
  const voices = createVoices(options, (id) => workers?.record(id) ?? UNHEARD_WORKER)
  const outbox = startOutbox({
    journal,
    cursor,
    connect: connect('machinegen'),
    name: target.name,
    secrets: [found.url, password, sentinelPassword, username].flatMap((secret) => secret ?? []),
    stream: eventStream(plan.machine.id),
    voices: voices.all,
    log,
    statusIntervalMs: plan.redis.announcements.intervalMs,
    onConnected: () => workers?.wake(),
  })
  if (plan.services.some(({ workerId }) => workerId !== null)) {
    workers = followWorkers({
      plan,
      connect: connect('machinegen-workers'),
      ask: outbox.ask,
      onChange: () => {
        options.onWorkerChange()
        outbox.publishStatus()
      },
      ...(voices.startup === null ? {} : { others: correctGoodbyes(view, voices.startup, outbox.ask) }),
    })
  }
  return { outbox, workers }
}

function createVoices(
  { view, journal, told }: RedisPartsOptions,
  recordOf: (workerId: string) => WorkerRecord,
): { readonly all: readonly RedisVoice[]; readonly startup: StartupVoice | null } {
  const { plan, version, nowMs } = view
  const { announcements } = plan.redis
  const publicUrl = resolvePublicUrl(plan.sidecar.publicUrl)
  const statusOf = (updateType: UpdateType) =>
    machineStatus(
      {
        plan,
        version,
        publicUrl,
        recordOf,
        machine: view.machine(),
        told: told(),
        workload: view.workload,
        nowMs: nowMs(),
      },
      updateType,
    )
  const startup = announcements.startupEvents
    ? startupVoice({
        facts: { plan, host: hostFacts() },
        journal,
        findStart: (bootId) => journal.findLast((head) => head.bootId === bootId && head.type === 'machine.started'),
        nowMs,
      })
    : null
  const own = streamVoice(plan.machine.id, () => statusFields(view, told(), journal))
  const status = announcements.machineStatus
    ? [statusVoice({ machine: plan.machine.id, bootId: view.bootId }, statusOf)]
    : []
  return { all: [own, ...(startup === null ? [] : [startup]), ...status], startup }
}

/**
 * A job worker that ends says `shutdown` with the id of its machine, which the first job API takes for the end of the
 * machine: the machine says again that it is there.
 */
function correctGoodbyes(view: SidecarView, startup: StartupVoice, ask: Outbox['ask']) {
  const { plan } = view
  const ids = new Set(plan.services.map(({ workerId }) => workerId))
  const onMessage = (text: string) => {
    if (!text.includes('"shutdown"') || !text.includes(plan.machine.id) || view.machine().stopping) return
    try {
      const { event_type, worker_id } = JSON.parse(text) as Record<string, unknown>
      if (event_type !== 'shutdown' || !ids.has(String(worker_id))) return
    } catch {
      return
    }
    ask(startup.sayAgain(view.nowMs())).catch(() => {})
  }
  return { channel: STARTUP_CHANNEL, onMessage }
}

function findTarget(
  { redis, secrets }: Pick<Plan, 'redis' | 'secrets'>,
  environment: Environment,
): { readonly target: RedisTarget; readonly url: string } | string | null {
  const { values, problems } = resolveSecrets(
    secrets.filter(({ name }) => name === redis.urlSecret),
    environment,
  )
  const [problem] = problems
  if (problem !== undefined) return problem
  const url = values.get(redis.urlSecret ?? '')?.trim() ?? ''
  if (url === '') return null
  try {
    return { target: parseRedisUrl(url), url }
  } catch (error) {
    return `cannot use redis.url: ${(error as Error).message}`
  }
}

function unusableOutbox(problem: string, journal: EventJournal, cursor: OutboxCursor): Outbox {
  const acknowledged = cursor.read() ?? 0
  return {
    state: () => ({
      connected: false,
      depth: Math.max(0, journal.lastSeq() - acknowledged),
      published: 0,
      failures: 1,
      problem,
    }),
    acknowledged: () => acknowledged,
    publishStatus: () => {},
    ask: () => Promise.resolve(null),
    goodbye: () => Promise.resolve(),
  }
}
