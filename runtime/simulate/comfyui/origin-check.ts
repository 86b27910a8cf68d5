/** The check of server.py that keeps web pages from queueing prompts on a loopback server. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'

/**
 * The two names that do not match, or nothing if the request may pass. Only requests with an Origin to a host that is
 * loopback are compared; a missing port on one side is missing on both.
 */
export async function findOriginMismatch(
  host: string | undefined,
  origin: string | undefined,
): Promise<{ host: string; origin: string } | undefined> {
  if (host === undefined || origin === undefined) return undefined
  const hostUrl = parse(`http://${host.toLowerCase()}`)
  const originUrl = parse(origin.toLowerCase())
  if (hostUrl === undefined || !(await isLoopback(hostUrl.name))) return undefined
  const hostDomain = originUrl?.port === undefined ? hostUrl.name : host.toLowerCase()
  const originDomain = hostUrl.port === undefined ? originUrl?.name : originUrl?.authority
  if (hostDomain === '' || originDomain === undefined || originDomain === '') return undefined
  return hostDomain === originDomain ? undefined : { host: hostDomain, origin: originDomain }
}

/** Name, port and both together as written: a port that is the scheme's default counts as written too. */
function parse(url: string): { name: string; port: string | undefined; authority: string } | undefined {
  const match = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?((\[[^\]]*\]|[^/?#:]*)(?::(\d*))?)(?:[/?#]|$)/.exec(url)
  if (!match) return undefined
  return {
    name: (match[2] ?? '').replaceAll(/[[\]]/g, ''),
    port: match[3] === '' ? undefined : match[3],
    authority: match[1] ?? '',
  }
}

async function isLoopback(name: string): Promise<boolean> {
  if (name === '') return false
  if (isIP(name)) return isLoopbackAddress(name)
  try {
    const found = await lookup(name, { all: true })
    return found.length > 0 && found.every(({ address }) => isLoopbackAddress(address))
  } catch {
    return false
  }
}

const isLoopbackAddress = (address: string) => address.startsWith('127.') || address === '::1'
