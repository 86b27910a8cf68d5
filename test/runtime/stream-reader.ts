import { Redis } from 'ioredis'
import type { MachineEvent } from '../../runtime/shared/machine-event.ts'
import { eventFlaw } from './event-schema.ts'
import { endAtLast } from './redis-server.ts'

/** A consumer of a machine's stream as it should be: it takes events by their number, and knows those that it has seen. */
export interface StreamReader {
  /** Each once, in the order in which they were new. */
  readonly events: readonly MachineEvent[]
  /** What no consumer should see: a number that is missing without an explanation, an event against the schema. */
  readonly flaws: readonly string[]
  readonly duplicates: () => number
  readonly close: () => void
}

/** Reads a stream from its beginning, over deaths of the server. */
export function readStream(port: number, stream: string): StreamReader {
  const redis = new Redis({ port, host: '127.0.0.1', maxRetriesPerRequest: null, retryStrategy: () => 30 })
  redis.on('error', () => {})
  const events: MachineEvent[] = []
  const flaws: string[] = []
  let duplicates = 0
  let lastId = '0'
  let isClosed = false

  const take = (text: string) => {
    const event = JSON.parse(text) as MachineEvent
    const flaw = eventFlaw(event)
    if (flaw !== null) flaws.push(`${text}: ${flaw}`)
    const last = events.at(-1)
    if (last !== undefined && event.seq <= last.seq) {
      duplicates += 1
      return
    }
    const expected = (last?.seq ?? 0) + 1
    const isExplained = event.type === 'events.lost' && event.context?.firstSeq === expected
    if (event.seq !== expected && !isExplained) flaws.push(`${event.seq} where ${expected} was expected`)
    events.push(event)
  }

  const follow = async () => {
    while (!isClosed) {
      const reply = await redis.xread('COUNT', 500, 'BLOCK', 500, 'STREAMS', stream, lastId).catch(() => null)
      for (const [id, fields] of reply?.[0]?.[1] ?? []) {
        lastId = id
        take(fields[1]!)
      }
    }
  }
  void follow()
  return {
    events,
    flaws,
    duplicates: () => duplicates,
    close: endAtLast(() => {
      isClosed = true
      redis.disconnect()
    }),
  }
}
