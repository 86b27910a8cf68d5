/** The first part of an HTTP/1.1 answer. Names of headers are in lower case; repeated ones are joined. */
export interface ResponseHead {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
}

/** Far more than any server sends; what is longer is no HTTP. */
export const MAX_HEAD_BYTES = 64 * 1024

/** Reads the text before the empty line, or says that it is none. */
export function parseHead(text: string): ResponseHead | null {
  const [statusLine = '', ...lines] = text.split(/\r?\n/)
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine)?.[1]
  if (status === undefined) return null
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon < 1) return null
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return { status: Number(status), headers }
}

/** `bytes 0-99/1000`; `total` is `null` where the server does not know it, `start` for an answer of 416. */
export function parseContentRange(
  text: string | undefined,
): { readonly start: number | null; readonly total: number | null } | null {
  const match = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(text ?? '')
  if (match === null) return null
  const [, start, total] = match
  return { start: start === undefined ? null : Number(start), total: total === '*' ? null : Number(total) }
}

/** How long a `Retry-After` asks to wait: seconds, or a date. */
export function parseRetryAfter(text: string | undefined, nowMs: number): number | null {
  if (text === undefined) return null
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const atMs = Date.parse(text)
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs)
}

/** The file name of a `Content-Disposition` (RFC 6266), its last part where it has a path. */
export function parseFileName(text: string | undefined): string | null {
  if (text === undefined) return null
  const extended = /filename\*\s*=\s*utf-8'[^']*'([^;\s]+)/i.exec(text)?.[1]
  const plain = /filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(text)
  const name = extended === undefined ? (plain?.[1]?.replaceAll(/\\(.)/g, '$1') ?? plain?.[2]) : decode(extended)
  const last = name?.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1)
  return last === undefined || last === '' ? null : last
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
