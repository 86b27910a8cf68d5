import type { BufferPool } from './buffer-pool.ts'
import type { Environment } from './connection.ts'
import { asDownloadError, DownloadError } from './download-error.ts'
import { type HttpResponse, httpGet } from './http-get.ts'
import { parseRetryAfter } from './http-head.ts'

/** What a request to a URL may carry; asked anew for each hop, so that a credential never goes to another host. */
export type HeadersFor = (url: URL) => Readonly<Record<string, string>>

export interface RequestOptions {
  readonly headersFor: HeadersFor
  readonly buffers: BufferPool
  readonly environment: Environment
  /** Looks at each redirect on the way: hubs say there what they know of the file. */
  readonly onRedirect?: (response: HttpResponse) => void
}

const MAX_REDIRECTS = 10

export interface Answer extends HttpResponse {
  /** Where the answer came from, after all redirects. */
  readonly url: URL
}

/** Asks for a URL and follows redirects, with statuses from 400 as `DownloadError`s. `416` is an answer. */
export async function request(start: URL, options: RequestOptions): Promise<Answer> {
  let url = start
  for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
    const response = await ask(url, options)
    const { status, headers } = response.head
    if (status < 300 || status === 416) return { ...response, url }
    response.close()
    if (status >= 400) throw refusal(url, response)
    const location = headers.get('location')
    if (location === undefined || !URL.canParse(location, url.href)) {
      throw new DownloadError('refused', `${url.host} answers ${status} and does not say where to go`, null, status)
    }
    options.onRedirect?.(response)
    const next = new URL(location, url)
    if (next.protocol !== 'https:' && next.protocol !== 'http:') {
      throw new DownloadError('refused', `${url.host} leads to "${next.protocol}//"`)
    }
    url = next
  }
  throw new DownloadError('refused', `${start.host} leads in circles: more than ${MAX_REDIRECTS} redirects`)
}

async function ask(url: URL, { headersFor, buffers, environment }: RequestOptions): Promise<HttpResponse> {
  try {
    return await httpGet(url, { headers: headersFor(url), buffers, environment })
  } catch (error) {
    const { kind, message } = asDownloadError(error)
    throw new DownloadError(kind, `${url.host}: ${message}`)
  }
}

/** These pass: the server is busy, or one behind it. */
const TRANSIENT = new Set([408, 421, 425, 429])

function refusal(url: URL, { head }: HttpResponse): DownloadError {
  const { status, headers } = head
  // Hubs that have had enough of us for a while say 403, and when to come back.
  const isPaused = status === 403 && headers.has('retry-after')
  const isTransient = TRANSIENT.has(status) || status >= 500 || isPaused
  const waitMs = isTransient ? parseRetryAfter(headers.get('retry-after'), Date.now()) : null
  return new DownloadError(isTransient ? 'transient' : 'refused', `${url.host} answers ${status}`, waitMs, status)
}
