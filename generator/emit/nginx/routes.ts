import type { Plan, PlannedService, ProxyRoute } from '../../../schema/plan.ts'
import { hostAndPort } from '../../plan/addresses.ts'
import { regexText } from '../quote/nginx.ts'

/** One `location` and what is behind it. */
export interface RouteLocation {
  readonly path: string
  /** The path without its last slash: taken off requests on the way in, put on redirects on the way out. */
  readonly prefix: string
  /** The name that errors, the log and the starting page give. */
  readonly service: string
  readonly upstream: string
  /** What the variables of its balancer are named after; `null` where one service is behind it. */
  readonly balancer: string | null
  /** Matches the raw URI and captures what is behind the prefix, up to the query, as `$rest`. */
  readonly rawPath: string
  /** What the service wants to see as `Host`, where it is not what the client sent. */
  readonly host: string | null
  readonly isSidecar: boolean
  /** Where the starting page asks for the state of the service. */
  readonly stateUrl: string
}

/** The verdict of the sidecar about one service, below that service's route. */
export interface HealthLocation {
  readonly path: string
  readonly service: string
  readonly url: string
}

export interface Upstream {
  readonly name: string
  readonly server: string
}

/** `127.0.0.1:8188` */
export function serverOf(plan: Plan, name: string): string {
  const service = findService(plan, name)
  if (service.address === null || service.port === null) throw new Error(`cannot route to "${name}": it has no port`)
  return hostAndPort(service.address, service.port)
}

export function findService(plan: Plan, name: string): PlannedService {
  const byName = servicesOf.get(plan) ?? new Map(plan.services.map((service) => [service.name, service]))
  servicesOf.set(plan, byName)
  const service = byName.get(name)
  if (service === undefined) throw new Error(`cannot route to "${name}": the plan has no such service`)
  return service
}

/** Of the plan at hand, by name: each of its services is looked for several times. */
const servicesOf = new WeakMap<Plan, ReadonlyMap<string, PlannedService>>()

/** An upstream of its own for each service that a route or a port leads to, and one for the sidecar. */
export function upstreamsOf(plan: Plan, routes: readonly ProxyRoute[]): Upstream[] {
  const names = new Set<string>()
  for (const route of routes) {
    if (route.kind === 'service') names.add(route.service)
    if (route.kind === 'balanced') for (const service of route.services) names.add(service)
  }
  for (const { service } of plan.proxy?.gpuPorts ?? []) names.add(service)
  names.delete('sidecar')
  const sidecar = { name: 'sidecar', server: hostAndPort(plan.sidecar.address, plan.sidecar.port) }
  return [sidecar, ...[...names].map((name) => ({ name, server: serverOf(plan, name) }))]
}

/** The location of a route; `balancer` is the name of the one that picks an instance, where there is a choice. */
export function locationOf(plan: Plan, route: ProxyRoute, balancer: string | null): RouteLocation {
  const prefix = route.path.replace(/\/$/, '')
  const rawPath = `^${regexText(prefix)}(?<rest>/[^?]*)`
  const common = { path: route.path, prefix, rawPath, host: null, balancer: null, isSidecar: false }
  if (route.kind === 'sidecar') {
    // By the name of loopback: under any other name it answers nobody who could be a web page that was led here.
    const host = hostAndPort('localhost', plan.sidecar.port)
    return { ...common, service: 'sidecar', upstream: 'sidecar', host, isSidecar: true, stateUrl: '' }
  }
  if (balancer !== null && route.kind === 'balanced') {
    const group = groupName(route.services)
    return { ...common, service: group, upstream: group, balancer, stateUrl: stateUrl(plan, null) }
  }
  const service = route.kind === 'service' ? route.service : (route.services[0] ?? '')
  const wantsLocalhost = route.kind === 'service' && route.host === 'localhost'
  const host = wantsLocalhost ? `localhost:${findService(plan, service).port}` : null
  return { ...common, service, upstream: service, host, stateUrl: stateUrl(plan, service) }
}

/** `comfyui`, of `comfyui-gpu0` and its siblings. */
export function groupName(services: readonly string[]): string {
  return (services[0] ?? '').replace(/-gpu[0-9]+$/, '')
}

/** `/api/services/comfyui-gpu0`, or the list of all services; empty where no route leads to the sidecar. */
function stateUrl(plan: Plan, service: string | null): string {
  const api = plan.proxy?.routes.find((route) => route.kind === 'sidecar')
  if (api === undefined) return ''
  return `${api.path}services${service === null ? '' : `/${encodeURIComponent(service)}`}`
}

/** `<route>health` of each instance, unless the path is taken. */
export function healthLocationsOf(routes: readonly ProxyRoute[], taken: ReadonlySet<string>): HealthLocation[] {
  return routes.flatMap((route) => {
    const path = `${route.path}health`
    if (route.kind !== 'service' || taken.has(path)) return []
    return [
      { path, service: route.service, url: `http://sidecar/services/${encodeURIComponent(route.service)}/health` },
    ]
  })
}
