import type { EventJournal } from '../../events/event-journal.ts'
import { EVENT_STREAM_TYPE, json, type StreamAnswer } from '../answer.ts'
import { endpoint, type Route } from '../endpoint.ts'
import type { HttpParts } from '../http-parts.ts'
import { flag, integer } from '../query.ts'
import { notYet, Refusal } from '../refusal.ts'
import { createSlots, type Slots } from '../slots.ts'
import { SSE_HEARTBEAT, SSE_PREAMBLE, sseData, sseNamed } from '../sse.ts'

const MAX_FOLLOWERS = 64

/** How many events are taken from the journal at once. */
const BATCH = 100

/** `/events`: the journal from any point on, as server-sent events, or a page of it as JSON. */
export function eventRoutes({ view }: HttpParts): readonly Route[] {
  const followers = createSlots(MAX_FOLLOWERS, 'streams of events')
  const number = integer({ min: 0, max: Number.MAX_SAFE_INTEGER }, null)
  const run = endpoint({
    query: { since: number, follow: { ...flag, fallback: true }, limit: integer({ min: 1, max: 1000 }, 100) },
    run: ({ since, follow, limit }, { header }) => {
      const journal = view.journal()
      if (journal === null) throw notYet('the journal of events')
      if (!follow) return page(journal, since ?? 0, limit)
      return stream(journal, lastEventId(header('last-event-id')) ?? since, followers)
    },
  })
  return [{ path: '/events', methods: { GET: run } }]
}

/** What a client that lost its connection has seen last; it stands above the query, which such a client repeats. */
function lastEventId(header: string | undefined): number | null {
  if (header === undefined || header === '') return null
  const seq = /^[0-9]{1,15}$/.test(header) ? Number(header) : Number.NaN
  if (!Number.isNaN(seq)) return seq
  throw new Refusal(400, 'BAD_REQUEST', 'cannot use this Last-Event-ID: it must be the number of an event')
}

function page(journal: EventJournal, since: number, limit: number) {
  const events = journal.since(since, limit)
  const body = { events, count: events.length, firstSeq: journal.firstSeq(), lastSeq: journal.lastSeq() }
  return json(200, { ...body, next: events.at(-1)?.seq ?? since })
}

function stream(journal: EventJournal, since: number | null, followers: Slots): StreamAnswer {
  const release = followers.take()
  return {
    status: 200,
    type: EVENT_STREAM_TYPE,
    heartbeat: SSE_HEARTBEAT,
    release,
    pieces: (signal) => follow(journal, since ?? journal.lastSeq(), signal),
  }
}

/**
 * Reads the journal on whenever there is something new and the client has taken the last piece: the journal is the buffer
 * of a slow reader. What is gone from it is told of: `gap` where events were dropped, `reset` where its numbers began anew.
 */
async function* follow(journal: EventJournal, since: number, signal: AbortSignal): AsyncGenerator<string> {
  let seen = since
  const bell = createBell()
  const stop = journal.follow(bell.ring)
  signal.addEventListener('abort', bell.ring, { once: true })
  try {
    yield SSE_PREAMBLE
    if (seen > journal.lastSeq()) {
      yield sseNamed('reset', { asked: seen, firstSeq: journal.firstSeq(), lastSeq: journal.lastSeq() })
      seen = 0
    }
    while (!signal.aborted) {
      const events = journal.since(seen, BATCH)
      const first = events[0]
      if (first === undefined) {
        await bell.rung()
        continue
      }
      if (seen > 0 && first.seq > seen + 1) yield sseNamed('gap', { from: seen + 1, to: first.seq - 1 })
      seen = events.at(-1)!.seq
      yield events.map((event) => sseData(event, event.seq)).join('')
    }
  } finally {
    stop()
    signal.removeEventListener('abort', bell.ring)
  }
}

/** Rung while nobody waits, it is heard by the next one who does. */
function createBell(): { readonly ring: () => void; readonly rung: () => Promise<void> } {
  let isRung = false
  let wake: (() => void) | null = null
  return {
    ring: () => {
      isRung = true
      wake?.()
    },
    rung: async () => {
      if (!isRung) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      isRung = false
      wake = null
    },
  }
}
