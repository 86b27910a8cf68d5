import type { Environment } from '../../../schema/interpolation.ts'
import type { Plan } from '../../../schema/plan.ts'
import { resolveSecrets } from '../../shared/resolve-secrets.ts'
import type { Log } from '../log.ts'
import type { EventJournal } from './event-journal.ts'
import { type Outbox, startOutbox } from './outbox.ts'
import type { OutboxCursor } from './outbox-cursor.ts'
import { connectRedis } from './redis-connection.ts'
import { parseRedisUrl, type RedisTarget } from './redis-target.ts'
import { eventStream, type StatusFields, streamVoice } from './redis-voice.ts'

export interface ConnectOutboxOptions {
  readonly plan: Plan
  readonly environment: Environment
  readonly journal: EventJournal
  readonly cursor: OutboxCursor
  readonly log: Log
  readonly status: () => StatusFields
}

const TIMEOUT_MS = 5000

/**
 * The way to the Redis of the machine file, as its URL resolves in this environment. `null` where it resolves to nothing:
 * events then stay on the machine. A URL that cannot be used is said once, and is the problem that the outbox shows.
 */
export function connectOutbox({
  plan,
  environment,
  journal,
  cursor,
  log,
  status,
}: ConnectOutboxOptions): Outbox | null {
  const machine = plan.machine.id
  const found = findTarget(plan, environment)
  if (found === null) return null
  if (typeof found === 'string') {
    log.error(`${found}; events stay on the machine`)
    return unusableOutbox(found, journal, cursor)
  }
  const { target } = found
  const { username, password, sentinelPassword } = target
  return startOutbox({
    journal,
    cursor,
    connect: (onClose) =>
      connectRedis({
        target,
        certificateAuthority: plan.redis.certificateAuthority,
        connectionName: `machinegen-${machine}`,
        timeoutMs: TIMEOUT_MS,
        onClose,
      }),
    name: target.name,
    secrets: [found.url, password, sentinelPassword, username].flatMap((secret) => secret ?? []),
    stream: eventStream(machine),
    voices: [streamVoice(machine, status)],
    log,
  })
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
    goodbye: () => Promise.resolve(),
  }
}
