import { nearest } from '../../../schema/nearest.ts'
import type { Route } from './endpoint.ts'
import { quoted, Refusal } from './refusal.ts'
import { decodeSegment } from './request-target.ts'

export interface RouteMatch {
  readonly route: Route
  readonly name: string
}

/** Finds the route of a path. @throws Refusal where there is none. */
export function createRouter(routes: readonly Route[]): (path: string) => RouteMatch {
  const exact = new Map<string, RouteMatch>()
  const patterns: { readonly pattern: RegExp; readonly route: Route }[] = []
  for (const route of routes) {
    if (!route.path.includes('{')) exact.set(route.path, { route, name: '' })
    else patterns.push({ pattern: new RegExp(`^${route.path.replace('{name}', '([^/]+)')}$`), route })
  }
  return (path) => {
    const found = exact.get(path)
    if (found !== undefined) return found
    for (const { pattern, route } of patterns) {
      const name = pattern.exec(path)?.[1]
      if (name !== undefined) return { route, name: decodeSegment(name) }
    }
    const meant = nearest(path, exact.keys())
    const hint = meant === undefined ? '; /openapi.json lists all' : `; did you mean "${meant}"?`
    throw new Refusal(404, 'NOT_FOUND', `there is no route ${quoted(path)}${hint}`)
  }
}
