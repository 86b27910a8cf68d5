import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { isIP } from 'node:net'

/** Whether the peer is on this machine: nginx is, and what it says of its client is believed. */
export function isLocalPeer({ socket }: Pick<IncomingMessage, 'socket'>): boolean {
  return isLoopback(socket.remoteAddress ?? '')
}

export function isLoopback(address: string): boolean {
  return address === '::1' || address === 'localhost' || /^(::ffff:)?127\./.test(address)
}

/** Who asks: the address of the client, behind nginx too. */
export function clientAddress(request: IncomingMessage): string {
  const forwarded = request.headers['x-real-ip']
  if (isLocalPeer(request) && typeof forwarded === 'string' && isIP(forwarded) !== 0) return forwarded
  return (request.socket.remoteAddress ?? 'unknown').replace(/^::ffff:/, '')
}

/**
 * Whether a `Host` can be a name of loopback: `localhost`, an address, or a name without a dot, which no web page can
 * have. A page that made its own name point here (DNS rebinding) comes with that name.
 */
export function isLoopbackName(host: string | undefined): boolean {
  if (host === undefined || host === '') return true
  const name = host.replace(/:[0-9]*$/, '').toLowerCase()
  const bare = name.startsWith('[') ? name.slice(1, -1) : name
  return isIP(bare) !== 0 || !bare.includes('.') || bare.endsWith('.localhost')
}

/** Where a browser's request comes from: `own` also where no browser sent it. */
export type Provenance = 'own' | 'allowed' | 'foreign'

/** Judges what a browser says of the page that asks. Programs say nothing, and are told apart by their token. */
export function provenanceOf(request: IncomingMessage, allowedOrigins: readonly string[]): Provenance {
  const { headers } = request
  const { origin } = headers
  if (origin === undefined) {
    const site = headers['sec-fetch-site']
    return site === 'cross-site' || site === 'same-site' ? 'foreign' : 'own'
  }
  if (allowedOrigins.includes('*') || allowedOrigins.includes(origin)) return 'allowed'
  return hostOf(origin) === ownHost(headers, isLocalPeer(request)) ? 'own' : 'foreign'
}

/** The name under which the client reached this API. */
function ownHost(headers: IncomingHttpHeaders, isLocal: boolean): string | undefined {
  const forwarded = headers['x-forwarded-host']
  return (isLocal && typeof forwarded === 'string' ? forwarded : headers.host)?.toLowerCase()
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null
}
