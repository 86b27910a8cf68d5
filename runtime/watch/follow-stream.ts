import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisCommand, RedisConnection } from '../sidecar/events/redis-connection.ts'
import { type ProblemKind, type RedisProblem, retryDelayMs } from '../sidecar/events/redis-problem.ts'
import { compareIds, readEntries, readFollowed, STREAM_START, type StreamEntry } from './stream-entry.ts'

export interface FollowOptions {
  readonly connect: (onClose: () => void) => Promise<RedisConnection>
  readonly describe: (error: unknown) => RedisProblem
  readonly stream: string
  /** Gives the id after which to read; asked on the first connection, and again where that did not last so long. */
  readonly begin: (open: RedisConnection) => Promise<string>
  /** Entries in their order. One that was not taken because of an error comes again. */
  readonly take: (entries: readonly StreamEntry[]) => Promise<void> | void
  /** Called between two reads, at least each second. */
  readonly tend?: (open: RedisConnection) => Promise<void>
  /** Ends where the stream ends now. */
  readonly isOnce: boolean
  /** It reads from now on; the first time, and after each problem. */
  readonly onReading: () => void
  readonly onProblem: (problem: RedisProblem) => void
  readonly signal: AbortSignal
  /** The pause after so many failures in a row. */
  readonly delayMs?: (kind: ProblemKind, failures: number) => number
}

/** What can never work as it was asked for. The exit code is that of the command line. */
export class WatchError extends Error {
  override readonly name = 'WatchError'
  readonly exitCode: number
  readonly hint?: string

  constructor(exitCode: number, message: string, hint?: string) {
    super(message)
    this.exitCode = exitCode
    if (hint !== undefined) this.hint = hint
  }
}

const PAGE = 500
/** Shorter than any reply may take: a server that is gone without a word is noticed by its silence. */
const BLOCK_MS = 1000

/**
 * Reads a stream on and on, each entry after the one before, over as many connections as it takes. Ends when the signal
 * is aborted. @throws WatchError where nobody could connect as things are: at the first attempt, a refusal; with `isOnce`, anything
 */
export async function followStream(options: FollowOptions): Promise<void> {
  const { describe, onProblem, isOnce, signal, delayMs = randomDelayMs } = options
  const place: Place = { start: null, last: STREAM_START, hasRead: false, failures: 0 }
  while (!signal.aborted) {
    try {
      await readOn(options, place)
      return
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof WatchError) throw error
      const problem = describe(error)
      if (isOnce || (problem.kind === 'refused' && !place.hasRead)) throw new WatchError(3, problem.message)
      place.failures += 1
      onProblem(problem)
      await sleep(delayMs(problem.kind, place.failures), undefined, { signal }).catch(() => {})
    }
  }
}

const randomDelayMs = (kind: ProblemKind, failures: number) => retryDelayMs(kind, failures, Math.random())

interface Place {
  /** The id after which it all began. */
  start: string | null
  last: string
  hasRead: boolean
  failures: number
}

async function readOn(options: FollowOptions, place: Place): Promise<void> {
  const { connect, begin, take, tend, isOnce, signal } = options
  let isLost = false
  const open = await connect(() => {
    isLost = true
  })
  const close = () => open.close()
  signal.addEventListener('abort', close)
  try {
    if (place.start === null) {
      place.start = place.last = await begin(open)
    } else {
      place.last = await findPlace(open, options.stream, place.start, place.last)
    }
    for (let isFirst = true; !signal.aborted && !isLost; isFirst = false) {
      const entries = await readPage(open, options.stream, place.last, isOnce || isFirst)
      if (isFirst) options.onReading()
      place.hasRead = true
      place.failures = 0
      await take(entries)
      place.last = entries.at(-1)?.id ?? place.last
      await tend?.(open)
      if (isOnce && entries.length < PAGE) return
    }
    if (isLost) throw new Error('the connection was closed')
  } finally {
    signal.removeEventListener('abort', close)
    close()
  }
}

/**
 * Where to go on. A stream that ends before the last id is another one than before: of a Redis that lost its data and whose
 * clock is behind, or a replica that had not got everything. What it has is read again.
 */
async function findPlace(open: RedisConnection, stream: string, start: string, last: string): Promise<string> {
  const newest = await newestId(open, stream)
  if (newest === STREAM_START || compareIds(newest, last) >= 0) return last
  return compareIds(start, newest) < 0 ? start : STREAM_START
}

async function readPage(open: RedisConnection, stream: string, last: string, isAtOnce: boolean) {
  const block = isAtOnce ? [] : ['BLOCK', BLOCK_MS]
  return readFollowed(await ask(open, ['xread', 'COUNT', PAGE, ...block, 'STREAMS', stream, last]))
}

/** The id of the newest entry of a stream. */
export async function newestId(open: RedisConnection, stream: string): Promise<string> {
  return readEntries(await ask(open, ['xrevrange', stream, '+', '-', 'COUNT', 1]))[0]?.id ?? STREAM_START
}

/** One command; a reply that is an error is thrown. */
export async function ask(open: RedisConnection, command: RedisCommand): Promise<unknown> {
  const [reply] = await open.send([command])
  if (reply instanceof Error) throw reply
  return reply
}

/** The clock of Redis, in ms: the only one that all machines and all who watch them share. */
export async function redisTimeMs(open: RedisConnection): Promise<number> {
  return readTime(await ask(open, ['time']))
}

/** A reply to TIME, in ms. */
export function readTime(reply: unknown): number {
  const [seconds, micros] = reply as [string, string]
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)
}
