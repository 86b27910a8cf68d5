export interface RequestTarget {
  /** As the client sent it, escapes included; `*` for a question about the server as a whole. */
  readonly path: string
  /** What is behind the `?`; empty where there is nothing. */
  readonly query: string
}

const ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i

/** Splits the target of a request (RFC 9112, 3.2); `null` for what is none. Proxies may send it with scheme and host. */
export function parseTarget(url: string): RequestTarget | null {
  if (url === '*') return { path: '*', query: '' }
  const local = url.charCodeAt(0) === SLASH ? url : url.replace(ABSOLUTE_FORM, '') || '/'
  if (local.charCodeAt(0) !== SLASH && local[0] !== '?') return null
  const mark = local.indexOf('?')
  if (mark < 0) return { path: local, query: '' }
  return { path: local.slice(0, mark) || '/', query: local.slice(mark + 1) }
}

const SLASH = 47

/** A segment without its escapes. A broken escape stays what it is: a name that does not exist. */
export function decodeSegment(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
