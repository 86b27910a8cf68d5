import type { Redis } from 'ioredis'

const FIRST_RETRY_MS = 250
const LONGEST_RETRY_MS = 5_000

/**
 * A connection that is tried for ever, with a line on every loss and every return. Nothing is queued while it is away: what
 * the worker would have said then is old when it is back.
 */
export async function connectForEver(url: string, log: (line: string) => void, onReady: () => void): Promise<Redis> {
  const { Redis } = await import('ioredis')
  const redis = new Redis(url, {
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    retryStrategy: (attempt) => Math.min(FIRST_RETRY_MS * attempt, LONGEST_RETRY_MS),
  })
  redis.on('error', (error: Error) => log(`cannot reach Redis: ${error.message}, will retry`))
  redis.on('ready', () => {
    log('Connected to Redis')
    onReady()
  })
  redis.on('close', () => log('Redis connection closed'))
  return redis
}
