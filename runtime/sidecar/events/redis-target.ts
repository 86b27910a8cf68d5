export interface HostAndPort {
  readonly host: string
  readonly port: number
}

/** Which Redis, as its URL says it. */
export interface RedisTarget {
  /** One server, or the Sentinels that know it. */
  readonly hosts: readonly HostAndPort[]
  /** Name of the master that Sentinels are asked for; `null` without Sentinels. */
  readonly master: string | null
  readonly db: number
  readonly username: string | null
  readonly password: string | null
  readonly sentinelUsername: string | null
  readonly sentinelPassword: string | null
  readonly tls: boolean
  /** For messages: hosts and ports, no secret. */
  readonly name: string
}

/** A URL that names no Redis; its message has nothing of the URL that may be secret. */
export class RedisUrlError extends Error {
  override readonly name = 'RedisUrlError'
}

const FORMS = 'redis://, rediss://, redis+sentinel:// and rediss+sentinel:// URLs work'
const URL_PARTS =
  /^(?<scheme>rediss?(?:\+sentinel)?):\/\/(?:(?<userInfo>[^@/?#]*)@)?(?<hosts>[^/?#@]+)(?<path>\/[^?#]*)?(?:\?(?<query>[^#]*))?$/i
const REDIS_PORT = 6379
const SENTINEL_PORT = 26_379

/**
 * Reads `redis://user:password@host:port/db`, `rediss://` for TLS, and
 * `redis+sentinel://user:password@host:port,host:port/master/db?sentinelPassword=...`. Hosts of IPv6 stand in brackets.
 */
export function parseRedisUrl(url: string): RedisTarget {
  const {
    scheme = '',
    userInfo = '',
    hosts: list = '',
    path = '',
    query = '',
  } = URL_PARTS.exec(url.trim())?.groups ?? {}
  if (scheme === '') throw new RedisUrlError(`it is no URL of a Redis; ${FORMS}`)
  const isSentinel = scheme.toLowerCase().endsWith('+sentinel')
  const hosts = list.split(',').map((host) => parseHost(host, isSentinel ? SENTINEL_PORT : REDIS_PORT))
  if (!isSentinel && hosts.length > 1) throw new RedisUrlError('it names several hosts, which only Sentinel URLs may')
  const segments = path.split('/').slice(1).map(decode)
  const master = isSentinel ? (segments.shift() ?? '') : null
  if (master === '') throw new RedisUrlError('it names no master: redis+sentinel://host:port/MASTER')
  const options = new URLSearchParams(query)
  const [user, ...password] = userInfo.split(':')
  return {
    hosts,
    master,
    db: parseDatabase(segments[0] || options.get('db') || '0'),
    username: decode(user ?? '') || null,
    password: decode(password.join(':')) || null,
    sentinelUsername: options.get('sentinelUsername'),
    sentinelPassword: options.get('sentinelPassword'),
    tls: /^rediss/i.test(scheme),
    name: hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(','),
  }
}

function parseHost(text: string, defaultPort: number): HostAndPort {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]]+))(?::(.*))?$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  if (host === undefined) throw new RedisUrlError('it has a host that is none; IPv6 addresses stand in brackets')
  const port = match?.[3]
  if (port === undefined || port === '') return { host: decode(host), port: defaultPort }
  if (!/^\d+$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    throw new RedisUrlError(`its port ${JSON.stringify(port)} is no number from 1 to 65535`)
  }
  return { host: decode(host), port: Number(port) }
}

function parseDatabase(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text)
  throw new RedisUrlError(`its database ${JSON.stringify(text)} is no number`)
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
