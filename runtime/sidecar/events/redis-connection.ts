import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import type { RedisOptions } from 'ioredis'
import type { RedisTarget } from './redis-target.ts'

/** A command with its arguments. */
export type RedisCommand = readonly [name: string, ...rest: (string | number)[]]

/** One connection. It never connects again by itself: who owns it decides what is sent anew, and in which order. */
export interface RedisConnection {
  /** Sends all at once; the replies in their order. A reply that is an error is an `Error` in the list. */
  readonly send: (commands: readonly RedisCommand[]) => Promise<readonly unknown[]>
  /** Calls with each message on channels of these patterns from now on. The connection can send nothing else then. */
  readonly listen: (patterns: readonly string[], onMessage: (channel: string, text: string) => void) => Promise<void>
  /** Rejects where the server does not answer any more; also on a connection that listens. */
  readonly ping: () => Promise<void>
  /** All or nothing of these. */
  readonly transact: (commands: readonly RedisCommand[]) => Promise<void>
  readonly close: () => void
}

export interface ConnectOptions {
  readonly target: RedisTarget
  readonly certificateAuthority: string | null
  /** Shown by `CLIENT LIST`. */
  readonly connectionName: string
  /** For the connection to be ready, and for the replies to one `send`: a server that hangs does not hold up for ever. */
  readonly timeoutMs: number
  /** The connection is gone; called once, also after a `close`. */
  readonly onClose: () => void
}

/** Connects, or rejects with the reason. The client library is loaded here and not before. */
export async function connectRedis(options: ConnectOptions): Promise<RedisConnection> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(clientOptions(options))
  let lastError: Error | null = null
  redis.on('error', (error: Error) => {
    lastError = error
  })
  redis.once('end', options.onClose)
  const close = () => redis.disconnect()
  try {
    await within(options.timeoutMs, redis.connect(), 'it does not answer')
  } catch (error) {
    close()
    throw lastError ?? error
  }
  const run = async (pipeline: { exec: () => Promise<[Error | null, unknown][] | null> }) => {
    const replies = await within(options.timeoutMs, pipeline.exec(), 'it does not answer any more')
    if (replies === null) throw lastError ?? new Error('it broke off a transaction')
    return replies.map(([error, reply]) => error ?? reply)
  }
  return {
    send: (commands) => run(redis.pipeline(commands.map((command) => [...command]))),
    transact: async (commands) => {
      const failed = (await run(redis.multi(commands.map((command) => [...command])))).find(
        (reply) => reply instanceof Error,
      )
      if (failed !== undefined) throw failed
    },
    listen: async (patterns, onMessage) => {
      redis.on('pmessage', (_, channel: string, text: string) => onMessage(channel, text))
      await within(options.timeoutMs, redis.psubscribe(...patterns), 'it does not answer')
    },
    ping: async () => {
      await within(options.timeoutMs, redis.ping(), 'it does not answer any more')
    },
    close,
  }
}

function clientOptions({ target, certificateAuthority, connectionName, timeoutMs }: ConnectOptions) {
  const { hosts, master, db, username, password, sentinelUsername, sentinelPassword } = target
  const tls = target.tls ? { tls: tlsOptions(certificateAuthority) } : {}
  const where =
    master === null
      ? hosts[0]!
      : {
          sentinels: hosts.map(({ host, port }) => ({ host, port })),
          name: master,
          sentinelRetryStrategy: () => null,
          ...(sentinelUsername === null ? {} : { sentinelUsername }),
          ...(sentinelPassword === null ? {} : { sentinelPassword }),
          ...(target.tls ? { enableTLSForSentinelMode: true, sentinelTLS: tlsOptions(certificateAuthority) } : {}),
        }
  return {
    ...where,
    ...tls,
    db,
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    connectionName,
    connectTimeout: timeoutMs,
    keepAlive: 10_000,
    // AUTH and plain replies: every server, proxy and old version understands them, in one round trip less.
    protocol: 2 as const,
    lazyConnect: true,
    retryStrategy: null,
    maxRetriesPerRequest: null,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    // INFO needs a right that a user who only writes has not; a server that loads its data says so at the first command.
    enableReadyCheck: false,
    disableClientInfo: true,
  } satisfies RedisOptions
}

function tlsOptions(certificateAuthority: string | null): ConnectionOptions {
  return certificateAuthority === null ? {} : { ca: readFileSync(certificateAuthority) }
}

async function within<T>(timeoutMs: number, promise: Promise<T>, late: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${late} within ${timeoutMs / 1000} s`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
    // What fails later was given up already.
    promise.catch(() => {})
  }
}
