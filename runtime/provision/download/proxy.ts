import { connect, isIP, type Socket } from 'node:net'
import { DownloadError } from './download-error.ts'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The proxy for a URL by the usual variables (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either case), or
 * `null`. Only HTTP proxies are known; one of another kind is an error, not a direct connection.
 */
export function proxyFor(url: URL, environment: Environment): URL | null {
  const find = (name: string) => environment[name.toLowerCase()] || environment[name]
  const named = find(url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY') || find('ALL_PROXY')
  if (named === undefined || isExempt(url, find('NO_PROXY') ?? '')) return null
  const text = named.includes('://') ? named : `http://${named}`
  if (URL.canParse(text) && text.startsWith('http://')) return new URL(text)
  throw new DownloadError('refused', 'the proxy of the environment is no http:// URL')
}

/** `NO_PROXY`: hosts, domains with or without a dot in front, `*`; a port may stand behind. */
function isExempt({ hostname, port }: URL, list: string): boolean {
  if (hostname === 'localhost' || (isIP(hostname) === 4 && hostname.startsWith('127.')) || hostname === '[::1]')
    return true
  return list.split(/[\s,]+/).some((item) => {
    const [, name = '', itemPort] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(item) ?? []
    if (item === '*') return true
    if (name === '' || (itemPort !== undefined && itemPort !== port)) return false
    return hostname === name || hostname.endsWith(`.${name}`)
  })
}

/** A tunnel to the host of a URL through a proxy (CONNECT; RFC 9110, section 9.3.6). */
export function connectThroughProxy(url: URL, proxy: URL, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const target = `${url.hostname}:${url.port || (url.protocol === 'https:' ? 443 : 80)}`
    const socket = connect({ host: proxy.hostname, port: Number(proxy.port) || 80 })
    const fail = (why: string, kind: 'transient' | 'refused' = 'transient') => {
      clearTimeout(timer)
      socket.destroy()
      reject(new DownloadError(kind, `the proxy ${proxy.host} ${why}`))
    }
    const timer = setTimeout(() => fail('did not answer in time'), timeoutMs)
    let answer = ''
    const onData = (bytes: Buffer) => {
      answer += bytes.toString('latin1')
      const end = answer.indexOf('\r\n\r\n')
      if (end === -1) return
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1]
      if (status !== '200')
        return fail(`answers ${status ?? 'something else'}`, status?.startsWith('5') ? 'transient' : 'refused')
      clearTimeout(timer)
      socket.pause()
      socket.removeAllListeners()
      resolve(socket)
    }
    socket.on('data', onData)
    socket.on('error', ({ message }) => fail(`cannot be reached: ${message}`))
    socket.on('end', () => fail('hung up'))
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${proxyAuthorization(proxy)}\r\n`)
  })
}

function proxyAuthorization({ username, password }: URL): string {
  if (username === '') return ''
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return `Proxy-Authorization: Basic ${Buffer.from(credentials).toString('base64')}\r\n`
}
