import { writeCursor } from '../../../shared/logs/log-cursor.ts'
import type { LogCursor, LogFilter, LogStore } from '../../../shared/logs/log-store.ts'
import { type Answer, EVENT_STREAM_TYPE, json, type StreamAnswer } from '../answer.ts'
import { isoTime } from '../describe-service.ts'
import { endpoint, type Question, type Route } from '../endpoint.ts'
import type { HttpParts } from '../http-parts.ts'
import { allServicesParameters, chosenServices, logFilter, logParameters } from '../log-parameters.ts'
import { servicesNamed } from '../names.ts'
import { notYet } from '../refusal.ts'
import { createSlots, type Slots } from '../slots.ts'
import { SSE_HEARTBEAT, SSE_PREAMBLE, sseData } from '../sse.ts'

/** Followers hold a file open each, and a search reads megabytes. */
const MAX_FOLLOWERS = 32
const MAX_SEARCHES = 4

export interface LogSlots {
  readonly followers: Slots
  readonly searches: Slots
}

export function logSlots(): LogSlots {
  return { followers: createSlots(MAX_FOLLOWERS, 'logs'), searches: createSlots(MAX_SEARCHES, 'searches in logs') }
}

/** `/logs` of the machine and `/services/{name}/logs`, as JSON or followed as server-sent events. */
export function logRoutes(parts: HttpParts, slots: LogSlots): readonly Route[] {
  const { view } = parts
  const parameters = logParameters(view.nowMs)
  const answer = (filter: LogFilter, follow: boolean, question: Question, head: object): Answer | Promise<Answer> =>
    follow ? followLogs(parts, slots, filter) : listLogs(parts, slots, filter, question, head)
  return [
    {
      path: '/logs',
      methods: {
        GET: endpoint({
          access: 'token',
          query: { ...parameters, ...allServicesParameters },
          run: (query, question) => {
            const services = chosenServices(view.plan, query.service)
            return answer(logFilter(query, services, query.gpu), query.follow, question, { services })
          },
        }),
      },
    },
    {
      path: '/services/{name}/logs',
      methods: {
        GET: endpoint({
          access: 'token',
          query: parameters,
          run: (query, question) => {
            const services = servicesNamed(view.plan, question.name)
            return answer(logFilter(query, services, null), query.follow, question, { service: question.name })
          },
        }),
      },
    },
  ]
}

async function listLogs(
  { view, logs }: HttpParts,
  { searches }: LogSlots,
  filter: LogFilter,
  { signal }: Question,
  head: object,
): Promise<Answer> {
  const store = storeOf(logs())
  const { lines, isPartial, older, newer } = await searches.use(() => store.query(filter, signal()))
  const cursors = { older: cursorText(older), newer: cursorText(newer) }
  const timestamp = isoTime(view.nowMs())
  return json(200, {
    ...head,
    logs: lines,
    count: lines.length,
    limit: filter.lines,
    partial: isPartial,
    ...cursors,
    timestamp,
  })
}

const cursorText = (cursor: LogCursor | null): string | null => (cursor === null ? null : writeCursor(cursor))

function followLogs({ logs }: HttpParts, { followers }: LogSlots, filter: LogFilter): StreamAnswer {
  const store = storeOf(logs())
  const release = followers.take()
  return {
    status: 200,
    type: EVENT_STREAM_TYPE,
    heartbeat: SSE_HEARTBEAT,
    release,
    pieces: async function* (signal) {
      yield SSE_PREAMBLE
      for await (const line of store.follow(filter, signal)) yield sseData(line)
    },
  }
}

export function storeOf(store: LogStore | null): LogStore {
  if (store === null) throw notYet('the log reader')
  return store
}
