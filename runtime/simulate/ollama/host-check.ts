/** server/routes.go's allowedHostsMiddleware: a server on loopback answers only requests for local names. */
import { isIP } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'

const LOCAL_DOMAINS = ['.localhost', '.local', '.internal']

/** True if a server that listens on `listenAddress` may answer a request with this Host. */
export function isAllowedHost(listenAddress: string, header: string | undefined): boolean {
  if (!isLoopback(listenAddress)) return true
  const host = withoutPort(header ?? '').toLowerCase()
  if (isIP(host)) return isLoopback(host) || isPrivate(host) || host === '0.0.0.0' || host === '::' || isOwn(host)
  if (host === '' || host === 'localhost' || host === hostname().toLowerCase()) return true
  return LOCAL_DOMAINS.some((domain) => host.endsWith(domain))
}

function withoutPort(host: string): string {
  const match = /^\[([^\]]*)\](?::\d+)?$|^([^:]*)(?::\d+)?$/.exec(host)
  return match ? (match[1] ?? match[2] ?? '') : host
}

const isLoopback = (address: string) => address.startsWith('127.') || address === '::1'

function isPrivate(address: string): boolean {
  return /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address) || /^f[cd]/i.test(address)
}

function isOwn(address: string): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some((entry) => entry.address === address))
}
