import { nearest } from '../../schema/nearest.ts'
import { describeExit } from '../shared/process-exit.ts'
import { countRestarts, isHealthy, isSatisfied, type MachineState, type ServiceRecord } from './machine-state.ts'

export interface Answer {
  readonly status: number
  readonly body: object
  readonly headers?: Readonly<Record<string, string>>
}

/** What an answer is made from: facts that do not change, and the machine at this moment. */
export interface RouteContext {
  readonly machineId: string
  readonly version: string
  readonly target: string
  readonly machine: MachineState
  readonly nowMs: number
}

type Route = (context: RouteContext) => Answer

const ROUTES: Readonly<Record<string, Route>> = {
  '/health': health,
  '/ready': ({ machine, nowMs }) => {
    const ready = isHealthy(machine)
    return { status: ready ? 200 : 503, body: { ready, timestamp: isoTime(nowMs) } }
  },
  '/version': ({ version, machineId, target }) => ({
    status: 200,
    body: {
      version,
      machine: machineId,
      target,
      node: process.version,
      platform: process.platform,
      arch: process.arch,
    },
  }),
  '/status': status,
  '/services': ({ machine, nowMs }) => {
    const services = [...machine.services.values()].map(describeService)
    return { status: 200, body: { services, count: services.length, timestamp: isoTime(nowMs) } }
  },
}

/** The answer to a request, by its method and path (no query). */
export function route(method: string, path: string, context: RouteContext): Answer {
  const found = findRoute(path, context.machine)
  if ('status' in found) return found
  if (method === 'GET' || method === 'HEAD') return found.route(context)
  const message = `cannot ${method} "${path}": only GET and HEAD work here`
  return { ...failure(405, 'METHOD_NOT_ALLOWED', message), headers: { allow: 'GET, HEAD' } }
}

function findRoute(path: string, machine: MachineState): { readonly route: Route } | Answer {
  const known = Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined
  if (known !== undefined) return { route: known }
  const parts = /^\/services\/([^/]+)(\/health)?$/.exec(path)
  if (parts === null) return notFound('route', path, Object.keys(ROUTES))
  const name = decodeName(parts[1]!)
  const record = machine.services.get(name)
  if (record === undefined) return notFound('service', name, machine.services.keys())
  if (parts[2] === undefined) return { route: () => ({ status: 200, body: describeService(record) }) }
  return { route: ({ nowMs }) => serviceHealth(record, machine, nowMs) }
}

/** A name with a broken `%` escape is just a name that does not exist. */
function decodeName(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function notFound(kind: 'route' | 'service', name: string, candidates: Iterable<string>): Answer {
  const meant = nearest(name, candidates)
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`
  return failure(404, 'NOT_FOUND', `there is no ${kind} "${name}"${hint}`)
}

function failure(httpStatus: number, code: string, message: string): Answer {
  return { status: httpStatus, body: { error: { code, message } } }
}

function health({ machine, nowMs }: RouteContext): Answer {
  const healthy = isHealthy(machine)
  const services = [...machine.services.values()].map((record) => {
    const { name, state, ready, live, pid, restarts, reason } = describeService(record)
    return [name, { healthy: isSatisfied(record), state, ready, live, pid, restarts, reason }]
  })
  const body = { healthy, services: Object.fromEntries(services), uptime: nowMs - machine.startedAtMs }
  return { status: healthy ? 200 : 503, body }
}

function status({ machine, machineId, version, target, nowMs }: RouteContext): Answer {
  const healthy = isHealthy(machine)
  const services = [...machine.services.values()].map((record) => [record.service.name, describeService(record)])
  return {
    status: 200,
    body: {
      machine: machineId,
      state: machine.stopping ? 'stopping' : healthy ? 'ready' : 'starting',
      healthy,
      version,
      target,
      uptime: nowMs - machine.startedAtMs,
      timestamp: isoTime(nowMs),
      services: Object.fromEntries(services),
    },
  }
}

function serviceHealth(record: ServiceRecord, machine: MachineState, nowMs: number): Answer {
  const healthy = isSatisfied(record) && !machine.stopping
  const { name, state, reason } = describeService(record)
  return { status: healthy ? 200 : 503, body: { service: name, healthy, state, reason, timestamp: isoTime(nowMs) } }
}

/** A service as `/services/{name}` shows it. Times are ISO 8601, durations milliseconds. */
export function describeService(record: ServiceRecord) {
  const { service, observation, state, reason, sinceMs, ready, startupMs, problem } = record
  const running = observation?.supervised && observation.status?.up ? observation.status : null
  const death = observation?.deaths.at(-1)
  return {
    name: service.name,
    type: service.type,
    gpu: service.gpu,
    state,
    reason,
    ready: isSatisfied(record),
    live:
      running !== null &&
      (record.readyAtMs === null ? record.launchedAtMs !== null : ready || problem === null || !isDead(record)),
    pid: running?.pid ?? null,
    restarts: countRestarts(record),
    port: service.port,
    since: isoTime(sinceMs),
    waitsFor: service.waitsFor,
    lastExit: death === undefined ? null : { ...death.exit, text: describeExit(death.exit), at: isoTime(death.atMs) },
    startedAt: running === null ? null : isoTime(running.changedAtMs),
    launchedAt: record.launchedAtMs === null ? null : isoTime(record.launchedAtMs),
    startupMs,
    workerId: service.workerId,
  }
}

function isDead({ dead, failures, service }: ServiceRecord): boolean {
  return dead || failures >= service.liveness.failures
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
