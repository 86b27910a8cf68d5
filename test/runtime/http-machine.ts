/** The API of a sidecar without the rest of it: its parts are in memory, and a test sets them. */
import { type IncomingHttpHeaders, request as startRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { LogFilter, LogLine, LogStore } from '../../runtime/shared/logs/log-store.ts'
import type { MachineEvent } from '../../runtime/shared/machine-event.ts'
import type { EventJournal } from '../../runtime/sidecar/events/event-journal.ts'
import { createHttpApi } from '../../runtime/sidecar/http/http-api.ts'
import type { StreamTimes } from '../../runtime/sidecar/http/send-stream.ts'
import { type HttpLimits, startServer } from '../../runtime/sidecar/http/server.ts'
import type { Operations, WaitResult } from '../../runtime/sidecar/operations.ts'
import { createParts, type SidecarParts } from '../../runtime/sidecar/sidecar-parts.ts'
import type { Plan } from '../../schema/plan.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'

export const TOKEN = 'a-token-of-the-tests'
export const WITH_TOKEN = { authorization: `Bearer ${TOKEN}` }

// biome-ignore lint/suspicious/noExplicitAny: whatever the API answered, to be looked at by a test
export type Json = any

export interface Answered {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly body: Json
}

export interface HttpMachine {
  readonly plan: Plan
  readonly port: number
  readonly parts: SidecarParts
  /** What the log of the sidecar would say. */
  readonly problems: string[]
  readonly errors: unknown[]
  readonly orders: string[]
  readonly ask: (path: string, options?: AskOptions) => Promise<Answered>
  readonly close: () => Promise<void>
}

export interface AskOptions {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
}

export interface HttpMachineOptions {
  readonly plan?: Plan
  readonly token?: string | null
  readonly limits?: Partial<HttpLimits>
  readonly streamTimes?: StreamTimes
  readonly lines?: readonly LogLine[]
  readonly waited?: WaitResult
  /** Default: one that is free. */
  readonly port?: number
  /** Starts without logs, metrics, journal and operations, as in the first moments of a boot. */
  readonly bare?: boolean
}

export async function startHttpMachine(options: HttpMachineOptions = {}): Promise<HttpMachine> {
  const plan = options.plan ?? testPlan()
  const { parts, http } = createParts(plan, 'boot-1')
  const [problems, errors, orders]: [string[], unknown[], string[]] = [[], [], []]
  if (!options.bare) {
    parts.logs = memoryLogs(options.lines ?? [])
    parts.metrics = () => ({
      type: 'text/plain; version=0.0.4; charset=utf-8',
      bytes: Buffer.from('# HELP machine_up Whether it is there.\n# TYPE machine_up gauge\nmachine_up 1\n'),
    })
    parts.journal = memoryJournal().journal
    parts.operations = recordedOperations(orders, options.waited ?? { ok: true, tookMs: 12.3 })
    parts.publishStatus = () => orders.push('publish')
  }
  const api = createHttpApi({
    parts: http,
    loadToken: () => {
      const value = options.token === undefined ? TOKEN : options.token
      return { value, problems: value === null ? ['there is no token'] : [] }
    },
    onProblem: (message) => problems.push(message),
    onError: (error) => errors.push(error),
    ...(options.streamTimes === undefined ? {} : { streamTimes: options.streamTimes }),
  })
  const server = await startServer({
    listen: '127.0.0.1',
    port: options.port ?? 0,
    onRequest: api.handle,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  })
  return {
    plan,
    port: server.port,
    parts,
    problems,
    errors,
    orders,
    ask: (path, how) => ask(server.port, path, how),
    close: server.close,
  }
}

/** Two GPUs with a ComfyUI and a worker each, nginx and Ollama, and the bundles that the compiler makes. */
export function testPlan(overrides: Partial<Plan> = {}): Plan {
  return planFixture({
    types: ['comfyui', 'redis-worker', 'ollama'],
    services: {
      'redis-worker-gpu0': { waitsFor: ['comfyui-gpu0'], workerId: 'test-machine-worker-0' },
      'redis-worker-gpu1': { waitsFor: ['comfyui-gpu1'], workerId: 'test-machine-worker-1' },
    },
    plan: {
      bundles: {
        gpu0: ['comfyui-gpu0', 'redis-worker-gpu0'],
        gpu1: ['comfyui-gpu1', 'redis-worker-gpu1'],
        comfyui: ['comfyui-gpu0', 'comfyui-gpu1'],
      },
      ...overrides,
    },
  })
}

/** One request on a connection of its own; the path goes out as it is. */
export function ask(port: number, path: string, { method = 'GET', headers = {}, body }: AskOptions = {}) {
  return new Promise<Answered>((resolve, reject) => {
    const outgoing = startRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, body: parsed(text) })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Writes bytes to a connection of its own, and gives all that comes back until it is closed. */
export function sendRaw(port: number, bytes: string | Buffer, endAfterMs: number | null = null): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const socket: Socket = connect({ host: '127.0.0.1', port }, () => socket.write(bytes))
    const timer = endAfterMs === null ? undefined : setTimeout(() => socket.end(), endAfterMs)
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    // What was reset has been answered before, or is looked at by its emptiness.
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(Buffer.concat(chunks).toString('latin1'))
    })
  })
}

export function logLine(service: string, message: string, more: Partial<LogLine> = {}): LogLine {
  const gpu = /-gpu([0-9]+)$/.exec(service)?.[1]
  return {
    timestamp: '2026-07-01T12:00:00.000Z',
    level: 'info',
    service,
    gpu: gpu === undefined ? null : Number(gpu),
    message,
    context: null,
    correlationId: null,
    ...more,
  }
}

/** Lines in memory, filtered by what the tests use. Followers get what `push` is called with. */
export function memoryLogs(lines: readonly LogLine[]): LogStore & { readonly push: (line: LogLine) => void } {
  const listeners = new Set<(line: LogLine) => void>()
  const fits = (line: LogLine, { services, gpu, level }: LogFilter) =>
    (services.length === 0 || services.includes(line.service)) &&
    (gpu === null || line.gpu === gpu) &&
    (level === null || line.level === level)
  const select = (filter: LogFilter) => lines.filter((line) => fits(line, filter)).slice(-filter.lines)
  return {
    query: async (filter) => ({ lines: select(filter), isPartial: false, older: null, newer: null }),
    lastLines: async (service, count) => lines.filter((line) => line.service === service).slice(-count),
    follow: async function* (filter, signal) {
      const queue = [...select(filter)]
      let wake = () => {}
      const listen = (line: LogLine) => {
        queue.push(line)
        wake()
      }
      listeners.add(listen)
      signal.addEventListener('abort', () => wake(), { once: true })
      try {
        while (!signal.aborted) {
          const next = queue.shift()
          if (next !== undefined) yield next
          else {
            await new Promise<void>((resolve) => {
              wake = resolve
            })
          }
        }
      } finally {
        listeners.delete(listen)
      }
    },
    push: (line) => {
      for (const listen of listeners) listen(line)
    },
  }
}

/** A journal in memory that can forget its oldest events. */
export function memoryJournal(firstSeq = 1): {
  readonly journal: EventJournal
  readonly forget: (count: number) => void
  readonly followers: () => number
} {
  const events: MachineEvent[] = []
  const followers = new Set<(event: MachineEvent) => void>()
  let next = firstSeq
  const journal: EventJournal = {
    bootId: 'boot-1',
    lastSeq: () => next - 1,
    firstSeq: () => events[0]?.seq ?? next,
    append: (draft) => {
      const at = draft.at ?? new Date().toISOString()
      const event: MachineEvent = { v: 1, bootId: 'boot-1', seq: next, at, machine: 'test-machine', ...draft }
      next += 1
      events.push(event)
      for (const follower of followers) follower(event)
      return event
    },
    since: (seq, limit) => events.filter((event) => event.seq > seq).slice(0, limit),
    follow: (onEvent) => {
      followers.add(onEvent)
      return () => followers.delete(onEvent)
    },
    counts: () => ({ appended: next - firstSeq, dropped: 0, bytes: 0 }),
  }
  return { journal, forget: (count) => events.splice(0, count), followers: () => followers.size }
}

function recordedOperations(orders: string[], waited: WaitResult): Operations {
  const order = (verb: string) => (name: string, operator: { name: string; reason?: string }) => {
    orders.push(`${verb} ${name} by ${operator.name}${operator.reason === undefined ? '' : `: ${operator.reason}`}`)
    return { ok: true as const, services: [name] }
  }
  return {
    start: order('start'),
    stop: order('stop'),
    restart: order('restart'),
    whenReady: async () => waited,
  }
}
