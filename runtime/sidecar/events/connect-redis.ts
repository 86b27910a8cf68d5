import type { Environment } from '../../../schema/interpolation.ts'
import type { Plan } from '../../../schema/plan.ts'
import { resolveSecrets } from '../../shared/resolve-secrets.ts'
import type { Log } from '../log.ts'
import type { SidecarView } from '../view.ts'
import { followWorkers, type Workers } from '../workers/follow-workers.ts'
import { UNHEARD_WORKER } from '../workers/worker-record.ts'
import { createVoices } from './create-voices.ts'
import type { EventJournal } from './event-journal.ts'
import type { FileJournal } from './file-journal.ts'
import { correctGoodbyes } from './originals/correct-goodbyes.ts'
import { type Outbox, startOutbox } from './outbox.ts'
import type { OutboxCursor } from './outbox-cursor.ts'
import { connectRedis } from './redis-connection.ts'
import { parseRedisUrl, type RedisTarget } from './redis-target.ts'
import { eventStream } from './redis-voice.ts'
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
  const voices = createVoices({ ...options, recordOf: (id) => workers?.record(id) ?? UNHEARD_WORKER })
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
