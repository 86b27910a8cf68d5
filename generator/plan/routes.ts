import type { ProxyRoute } from '../../schema/plan.ts'
import { ALIVE_PATH } from '../services/nginx.ts'
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
  checkHealthPath(drafts, healthPath, report)
  const owners = new Map<string, { readonly key: string; readonly route: DraftRoute }>()
  for (const { service, routes } of drafts) {
    for (const route of routes) {
      const owner = owners.get(route.path)
      const taken = service.type === 'custom' ? takenBy(route.path, healthPath) : null
      if (owner !== undefined && owner.key !== service.key) {
        report(conflict(service.key, route, `"${owner.key}"`, owner.route.pointer))
      } else if (taken !== null) report(conflict(service.key, route, taken, null))
      owners.set(route.path, owner ?? { key: service.key, route })
    }
  }
}

function takenBy(path: string, healthPath: string): string | null {
  if (healthPath.startsWith(path) || `${healthPath}/` === path) return 'the health endpoint of nginx'
  return RESERVED_ROUTES.some((reserved) => path.startsWith(reserved)) ? 'the machine itself' : null
}

/** The health endpoint answers without a credential: it must not hide a path of the machine. */
function checkHealthPath(drafts: readonly ServiceDraft[], path: string, report: (finding: Finding) => void): void {
  if (!drafts.some((draft) => draft.service.type === 'nginx')) return
  const taken = [ALIVE_PATH, ...RESERVED_ROUTES].find((owner) => path === owner || `${path}/`.startsWith(owner))
  if (taken === undefined) return
  report({
    code: 'ROUTE_CONFLICT',
    severity: 'error',
    pointer: '/services/nginx/healthEndpoint',
    message: `cannot answer for the machine at "${path}": "${taken}" belongs to the machine`,
    hint: 'use "/health"',
  })
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
