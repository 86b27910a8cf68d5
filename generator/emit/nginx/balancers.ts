import type { Plan, ProxyRoute } from '../../../schema/plan.ts'
import { groupName, serverOf } from './routes.ts'

/** What keeps each client of a balanced route at one instance: docs/decisions/0004-sticky-balancing.md. */
export interface Balancer {
  readonly path: string
  /** Part of the names of its variables. */
  readonly variable: string
  /** Upstream that takes the instances in turn: for a browser that has no instance yet. */
  readonly inTurn: string
  /** Upstream that picks by who the client is: for programs, which keep no cookie. */
  readonly byClient: string
  readonly members: readonly Member[]
}

export interface Member {
  readonly name: string
  readonly server: string
  /** Ports are unique on a machine: the answering one tells the instance. */
  readonly port: string
  /** Upstream for the browsers that belong to this instance. */
  readonly pinned: string
  /** Takes over while this one is down: always the same one, so that all tabs of a browser meet there. */
  readonly standIn: string
}

/** A balancer for each balanced route with a choice, by the path of the route. */
export function balancersOf(plan: Plan, routes: readonly ProxyRoute[]): ReadonlyMap<string, Balancer> {
  const balancers = new Map<string, Balancer>()
  for (const route of routes) {
    if (route.kind !== 'balanced' || route.services.length < 2) continue
    // The number keeps the variables of `/a-b/` and `/a_b/` apart.
    const variable = `${groupName(route.services).replace(/[^A-Za-z0-9]/g, '_')}_${balancers.size}`
    balancers.set(route.path, balancerOf(plan, route.path, variable, route.services))
  }
  return balancers
}

function balancerOf(plan: Plan, path: string, variable: string, services: readonly string[]): Balancer {
  const servers = services.map((name) => serverOf(plan, name))
  const members = services.map((name, index) => {
    const server = servers[index] ?? ''
    return {
      name,
      server,
      port: server.slice(server.lastIndexOf(':') + 1),
      pinned: `${name}.pinned`,
      standIn: servers[(index + 1) % servers.length] ?? '',
    }
  })
  const group = groupName(services)
  return { path, variable, inTurn: `${group}.in-turn`, byClient: `${group}.by-client`, members }
}
