import type { Plan } from '../../schema/plan.ts'

/** Where a person reaches the machine at once: the proxy and the sidecar. */
export function entryUrls(plan: Pick<Plan, 'proxy' | 'sidecar'>): readonly string[] {
  const { proxy, sidecar } = plan
  return [
    ...(proxy === null ? [] : [`proxy    ${baseUrl('http', proxy.listen, proxy.port)}/`]),
    ...(proxy?.tls ? [`proxy    ${baseUrl('https', proxy.listen, proxy.tls.port)}/`] : []),
    `sidecar  ${baseUrl('http', sidecar.address, sidecar.port)}/health`,
  ]
}

/** The routes of the services, once they all work. */
export function routeUrls({ proxy }: Pick<Plan, 'proxy'>): readonly string[] {
  if (proxy === null) return []
  const base = baseUrl('http', proxy.listen, proxy.port)
  const routes = proxy.routes.map((route): [string, string] => {
    const target =
      route.kind === 'service' ? route.service : route.kind === 'balanced' ? route.services.join(', ') : 'sidecar'
    return [`${base}${route.path}`, target]
  })
  const width = Math.max(0, ...routes.map(([url]) => url.length))
  return routes.map(([url, target]) => `${url.padEnd(width)}  ${target}`)
}

/** A wildcard is no address to go to. */
function baseUrl(scheme: string, listen: string, port: number): string {
  const host = listen === '0.0.0.0' || listen === '::' ? '127.0.0.1' : listen.includes(':') ? `[${listen}]` : listen
  const isDefault = port === (scheme === 'http' ? 80 : 443)
  return `${scheme}://${host}${isDefault ? '' : `:${port}`}`
}
