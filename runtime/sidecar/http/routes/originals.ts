import type { LogFilter, LogLine } from '../../../shared/logs/log-store.ts'
import { type Answer, json, type StreamAnswer, TEXT_TYPE } from '../answer.ts'
import { describeService, isoTime } from '../describe-service.ts'
import { endpoint, type Question, type Route } from '../endpoint.ts'
import type { HttpParts } from '../http-parts.ts'
import { DEFAULT_LINES } from '../log-parameters.ts'
import { servicesNamed } from '../names.ts'
import type { createUsageReader } from '../process-usage.ts'
import { flag, integer, oneOf, text } from '../query.ts'
import { Refusal } from '../refusal.ts'
import { type LogSlots, storeOf } from './logs.ts'
import { CHANGE, operate, operatorOf } from './operations.ts'

/** The routes of the first machines that have no like here, in their shapes: monitors and scripts still ask for them. */
export function originalRoutes(
  parts: HttpParts,
  slots: LogSlots,
  usageOf: ReturnType<typeof createUsageReader>,
): readonly Route[] {
  const refresh = endpoint({ query: {}, run: refreshStatus(parts) })
  const service = endpoint({ ...CHANGE, query: { service: text(200) }, run: restartService(parts) })
  const machine = endpoint({ ...CHANGE, query: {}, run: (_, question) => restartMachine(parts, question) })
  return [
    { path: '/refresh-status', methods: { GET: refresh, POST: refresh } },
    { path: '/restart/service', methods: { POST: service } },
    { path: '/restart/machine', methods: { POST: machine } },
    { path: '/pm2/list', methods: { GET: endpoint({ query: {}, run: () => pm2List(parts, usageOf) }) } },
    { path: '/pm2/logs', methods: { GET: pm2Logs(parts, slots) } },
    { path: '/comfyui/logs', methods: { GET: comfyuiLogs(parts, slots) } },
  ]
}

/** Who asks again within this time gets the same status; everybody may ask. */
const REFRESH_INTERVAL_MS = 1000

function refreshStatus({ view, publishStatus }: HttpParts) {
  let publishedAtMs = Number.NEGATIVE_INFINITY
  return (): Answer => {
    const nowMs = view.nowMs()
    if (Math.abs(nowMs - publishedAtMs) >= REFRESH_INTERVAL_MS) {
      publishedAtMs = nowMs
      publishStatus()?.()
    }
    const timestamp = isoTime(nowMs)
    return json(200, { message: 'Status update triggered', machine_id: view.plan.machine.id, timestamp })
  }
}

function restartService(parts: HttpParts) {
  return ({ service }: { readonly service: string | null }, question: Question): Answer => {
    const name = required(service)
    operate(parts, 'restart', name, operatorOf(question))
    return json(200, { message: `Service ${name} restart initiated`, service: name })
  }
}

/**
 * Every service is started anew, as after a restart of the container; the container stays, since what ends it decides
 * nothing about whether it comes back. nginx goes last: this answer may pass through it.
 */
function restartMachine(parts: HttpParts, question: Question): Answer {
  const operator = operatorOf(question)
  const services = parts.view.plan.services.filter(({ type }) => type !== 'sidecar')
  const failed = services.filter(({ type }) => type !== 'nginx').flatMap(({ name }) => failure(parts, name, operator))
  const proxies = services.filter(({ type }) => type === 'nginx')
  question.afterwards(() => {
    for (const { name } of proxies) failure(parts, name, operator)
  })
  if (failed.length > 0) throw new Refusal(500, 'FAILED', `cannot restart all of the machine: ${failed.join('; ')}`)
  return json(200, { message: 'Machine restart initiated', services: services.map(({ name }) => name) })
}

function failure(parts: HttpParts, name: string, operator: ReturnType<typeof operatorOf>): readonly string[] {
  try {
    operate(parts, 'restart', name, operator)
    return []
  } catch (error) {
    if (error instanceof Refusal && error.code === 'FAILED') return [error.message]
    // One that nobody supervises, or that may not be touched just now, is none of the restart's business.
    if (error instanceof Refusal && error.code !== 'STARTING') return []
    throw error
  }
}

function pm2List({ view }: HttpParts, usageOf: ReturnType<typeof createUsageReader>): Answer {
  const nowMs = view.nowMs()
  const list = [...view.machine().services.values()].map((record) => {
    const { name, pm2_status, pid, uptime, restarts } = describeService(record, nowMs)
    const usage = pid === null ? null : usageOf(pid)
    return { name, status: pm2_status, pid, cpu: usage?.cpu ?? 0, memory: usage?.memory ?? 0, uptime, restarts }
  })
  return json(200, list)
}

const TEXT_PARAMETERS = { lines: integer({ min: 1, max: 10_000 }, DEFAULT_LINES), stream: flag, follow: flag }

function pm2Logs(parts: HttpParts, slots: LogSlots) {
  return endpoint({
    access: 'token',
    query: { service: text(200), ...TEXT_PARAMETERS },
    run: ({ service, lines, stream, follow }, question) => {
      const services = servicesNamed(parts.view.plan, required(service))
      return logText(parts, slots, { ...EVERYTHING, services, lines }, stream || follow, question)
    },
  })
}

/** The first machines had one log file for each `type`; here errors are what has that level. */
function comfyuiLogs(parts: HttpParts, slots: LogSlots) {
  return endpoint({
    access: 'token',
    query: {
      gpu: integer({ min: 0, max: 1023 }, 0),
      type: oneOf(['server', 'output', 'error'], 'server'),
      ...TEXT_PARAMETERS,
    },
    run: ({ gpu, type, lines, stream, follow }, question) => {
      const service = parts.view.plan.services.find((each) => each.type === 'comfyui' && (each.gpu ?? 0) === gpu)
      if (service === undefined) throw new Refusal(404, 'NOT_FOUND', `there is no ComfyUI on GPU ${gpu}`)
      const level = type === 'error' ? 'error' : null
      return logText(
        parts,
        slots,
        { ...EVERYTHING, services: [service.name], level, lines },
        stream || follow,
        question,
      )
    },
  })
}

const EVERYTHING = { gpu: null, level: null, sinceMs: null, grep: null, correlationId: null }

/** Lines as text. It ends with the newest one, or goes on until the client leaves. */
async function logText(
  { logs }: HttpParts,
  { searches, followers }: LogSlots,
  filter: LogFilter,
  goesOn: boolean,
  { signal }: Question,
): Promise<Answer> {
  const store = storeOf(logs())
  if (!goesOn) {
    const { lines } = await searches.use(() => store.query(filter, signal()))
    return { status: 200, type: TEXT_TYPE, bytes: Buffer.from(lines.map(textLine).join('')) }
  }
  const following: StreamAnswer = {
    status: 200,
    type: TEXT_TYPE,
    heartbeat: '',
    release: followers.take(),
    pieces: async function* (left) {
      for await (const line of store.follow(filter, left)) yield textLine(line)
    },
  }
  return following
}

const textLine = ({ timestamp, message }: LogLine): string => `${timestamp} ${message}\n`

function required(service: string | null): string {
  if (service !== null) return service
  throw new Refusal(400, 'BAD_PARAMETER', 'Service name required: cannot do this without "service"')
}
