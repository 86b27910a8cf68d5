import type { PlannedProxy, PlannedSidecar } from '../../schema/plan.ts'
import { hostAndPort, isWildcard } from './addresses.ts'

/** The sidecar fills in the address that its machine has then. */
const OWN_ADDRESS = '{address}'

/**
 * Where other hosts reach the sidecar's API: as the machine file says; else on its own port where it binds more than
 * loopback, or behind the proxy where that does. A machine that lets nobody in is reached from itself alone.
 */
export function publicUrl(
  given: string | undefined,
  { listen, address, port }: Pick<PlannedSidecar, 'listen' | 'address' | 'port'>,
  proxy: PlannedProxy | null,
): string {
  if (given !== undefined) return given.replace(/\/+$/, '')
  if (isOpen(listen)) return `http://${publicHost(listen, port)}`
  const route = proxy?.routes.find(({ kind }) => kind === 'sidecar')
  if (proxy === null || route === undefined || !isOpen(proxy.listen)) return `http://${hostAndPort(address, port)}`
  const { tls, listen: proxyListen, port: proxyPort } = proxy
  const base =
    tls === null ? `http://${publicHost(proxyListen, proxyPort)}` : `https://${publicHost(proxyListen, tls.port)}`
  return base + route.path.replace(/\/+$/, '')
}

function isOpen(listen: string): boolean {
  return !(listen === 'localhost' || listen === '::1' || listen.startsWith('127.'))
}

function publicHost(listen: string, port: number): string {
  return isWildcard(listen) ? `${OWN_ADDRESS}:${port}` : hostAndPort(listen, port)
}
