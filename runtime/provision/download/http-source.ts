import type { BufferPool } from './buffer-pool.ts'
import type { Environment, TakeBytes } from './connection.ts'
import { DownloadError } from './download-error.ts'
import type { HttpResponse } from './http-get.ts'
import { parseContentRange, parseFileName } from './http-head.ts'
import type { BegunTransfer, RangeRequest, RangeSource, SourceFacts } from './range-source.ts'
import { type Answer, type HeadersFor, request } from './request.ts'

export interface HttpSourceOptions {
  readonly url: URL
  readonly headersFor: HeadersFor
  readonly buffers: BufferPool
  readonly environment: Environment
}

/** How long the end of a chain of redirects is asked directly: signed addresses are good for some minutes at least. */
const RESOLVED_FOR_MS = 4 * 60_000

/** A file behind an HTTP URL. */
export function httpSource(options: HttpSourceOptions): RangeSource {
  const { url, buffers, environment, headersFor } = options
  let resolved: { readonly url: URL; readonly atMs: number } | null = null

  const ask = async (headers: Record<string, string>, onRedirect?: (hop: HttpResponse) => void) => {
    const from = resolved !== null && performance.now() - resolved.atMs < RESOLVED_FOR_MS ? resolved : null
    const all = (hop: URL) => ({ ...headers, ...headersFor(hop) })
    const settings = { buffers, environment, headersFor: all, ...(onRedirect === undefined ? {} : { onRedirect }) }
    try {
      const answer = await request(from?.url ?? url, settings)
      resolved = { url: answer.url, atMs: from?.atMs ?? performance.now() }
      return answer
    } catch (error) {
      if (from === null || !hasExpired(error)) throw error
      resolved = null
      return request(url, settings)
    }
  }
  const begin = async (bytes: number) => {
    resolved = null
    const hops: HttpResponse[] = []
    const answer = await ask({ Range: `bytes=0-${bytes - 1}` }, (hop) => hops.push(hop))
    try {
      const facts = factsOf(answer, hops)
      const begun = begunBy(answer)
      if (begun === null) answer.close()
      return { facts, begun }
    } catch (error) {
      answer.close()
      throw error
    }
  }
  return {
    probe: async () => {
      const { facts, begun } = await begin(1)
      begun?.close()
      return facts
    },
    begin,
    read: async (range, take) => {
      const answer = await ask(rangeHeaders(range))
      try {
        checkAnswer(answer, range)
        await readBody(answer, range, take)
      } finally {
        answer.close()
      }
    },
  }
}

const hasExpired = (error: unknown): boolean =>
  error instanceof DownloadError && error.status !== null && error.status < 500 && error.kind === 'refused'

function rangeHeaders({ start, end, validator }: RangeRequest): Record<string, string> {
  if (start === 0 && end === null) return {}
  return {
    Range: `bytes=${start}-${end === null ? '' : end - 1}`,
    ...(validator === null ? {} : { 'If-Range': validator }),
  }
}

/** Whether what comes now are the bytes that were asked for, of the file that it was. */
function checkAnswer({ url, head }: Answer, { start, end, sizeBytes }: RangeRequest): void {
  const { status, headers } = head
  const changed = () => new DownloadError('changed', `${url.host} has another file now`)
  if (status === 206) {
    const range = parseContentRange(headers.get('content-range'))
    if (range?.start !== start)
      throw new DownloadError('refused', `${url.host} sends other bytes than it was asked for`)
    if (range.total !== null && sizeBytes !== null && range.total !== sizeBytes) throw changed()
    return
  }
  if (status === 416) throw changed()
  if (status !== 200) throw new DownloadError('refused', `${url.host} answers ${status}`, null, status)
  // The whole file, in the place of a part of it: that part is of another version.
  if (start !== 0 || (end !== null && end !== sizeBytes)) throw changed()
  const length = headers.get('content-length')
  if (sizeBytes !== null && length !== undefined && Number(length) !== sizeBytes) throw changed()
}

function begunBy(answer: Answer): BegunTransfer | null {
  const { status, headers } = answer.head
  const end = Number(headers.get('content-length'))
  if (status !== 206 || parseContentRange(headers.get('content-range'))?.start !== 0 || !(end > 0)) return null
  return { end, close: answer.close, read: (take, signal) => readBody(answer, { signal }, take) }
}

async function readBody(answer: Answer, { signal }: Pick<RangeRequest, 'signal'>, take: TakeBytes): Promise<void> {
  const abort = () => answer.close()
  signal.addEventListener('abort', abort)
  try {
    if (signal.aborted) answer.close()
    else await answer.body(take)
  } catch (error) {
    if (error instanceof DownloadError) {
      throw new DownloadError(error.kind, `${answer.url.host}: ${error.message}`, error.retryAfterMs, error.status)
    }
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function factsOf({ url, head, latencyMs }: Answer, hops: readonly HttpResponse[]): SourceFacts {
  const { status, headers } = head
  const range = parseContentRange(headers.get('content-range'))
  const length = status === 200 ? headers.get('content-length') : undefined
  const sizeBytes = range?.total ?? (length === undefined ? null : Number(length))
  if (sizeBytes === 0) throw new DownloadError('refused', `${url.host} has an empty file there`)
  if (/^text\/html\b/i.test(headers.get('content-type') ?? '')) {
    throw new DownloadError('refused', `${url.host} answers with a web page, not with a file`)
  }
  const all = [head, ...hops.map((hop) => hop.head)]
  const linked = firstHeader(all, 'x-linked-etag')?.replaceAll('"', '')
  return {
    sizeBytes,
    ranges: status === 206,
    validator: validatorOf(headers),
    fileName: parseFileName(firstHeader(all, 'content-disposition')) ?? lastPart(url),
    sha256: linked !== undefined && /^[0-9a-f]{64}$/i.test(linked) ? linked.toLowerCase() : null,
    revision: firstHeader(all, 'x-repo-commit') ?? null,
    latencyMs,
  }
}

function firstHeader(heads: readonly HttpResponse['head'][], name: string): string | undefined {
  return heads.map((head) => head.headers.get(name)).find((value) => value !== undefined)
}

/** Only a strong one is good for ranges (RFC 9110, section 13.1.5). */
function validatorOf(headers: ReadonlyMap<string, string>): string | null {
  const etag = headers.get('etag')
  if (etag?.startsWith('"')) return etag
  return headers.get('last-modified') ?? null
}

function lastPart(url: URL): string | null {
  const name = url.pathname.slice(url.pathname.lastIndexOf('/') + 1)
  try {
    return name === '' ? null : decodeURIComponent(name)
  } catch {
    return name
  }
}
