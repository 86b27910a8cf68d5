import type { ProxyRoute } from '../../schema/plan.ts'
import type { Finding, ServiceDraft } from '../services/service-type.ts'

/** Paths that belong to the machine, whether or not the service behind them runs. */
const RESERVED_ROUTES = ['/api/', '/comfyui/', '/a1111/', '/ollama/', '/-/']

type DraftRoute = ServiceDraft['routes'][number]

/** The routes of the proxy: those of the instances, and one over all instances of ComfyUI. */
export function planRoutes(drafts: readonly ServiceDraft[]): ProxyRoute[] {
  const routes = drafts.flatMap((draft) => draft.routes.map(({ pointer: _, ...route }) => route as ProxyRoute))
  const balanced = drafts.filter((draft) => draft.service.type === 'comfyui').map((draft) => draft.service.name)
  return balanced.length === 0 ? routes : [...routes, { kind: 'balanced', path: '/comfyui/', services: balanced }]
}

/** Reports routes that two services claim, that belong to the machine, or that its health path would hide. */
export function checkRoutes(
  drafts: readonly ServiceDraft[],
  healthPath: string,
  report: (finding: Finding) => void,
): void {
  const owners = new Map<string, { readonly key: string; readonly route: DraftRoute }>()
  for (const { service, routes } of drafts) {
    for (const route of routes) {
      const owner = owners.get(route.path)
      const taken = takenBy(service.type === 'custom', route.path, healthPath)
      if (owner !== undefined && owner.key !== service.key) {
        report(conflict(service.key, route, `"${owner.key}"`, owner.route.pointer))
      } else if (taken !== null) report(conflict(service.key, route, taken, null))
      owners.set(route.path, owner ?? { key: service.key, route })
    }
  }
}

function takenBy(custom: boolean, path: string, healthPath: string): string | null {
  if (healthPath.startsWith(path) || `${healthPath}/` === path) return 'the health endpoint of nginx'
  return custom && RESERVED_ROUTES.some((reserved) => path.startsWith(reserved)) ? 'the machine itself' : null
}

function conflict(key: string, route: DraftRoute, owner: string, pointer: string | null): Finding {
  return {
    code: 'ROUTE_CONFLICT',
    severity: 'error',
    pointer: route.pointer,
    message: `cannot route "${route.path}" to "${key}": ${owner} has it`,
    ...(pointer === null ? {} : { related: [{ pointer, message: `${owner} takes it here` }] }),
  }
}
