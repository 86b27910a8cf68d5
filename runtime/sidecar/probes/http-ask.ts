import { type ClientRequest, type IncomingMessage, request } from 'node:http'

export interface HttpAnswer {
  readonly status: number
  readonly body: string
  /** There was more than `headBytes`. */
  readonly isCut: boolean
}

export interface HttpQuestion {
  /** Sent as JSON by POST; without it, it is a GET. */
  readonly json?: unknown
  /** Reads no more than about this much of the answer, for answers whose beginning says it all. */
  readonly headBytes?: number
}

/** Rejects where no complete answer of at most a megabyte arrives in time; a `TimeoutError` is that it was late. */
export type HttpAsk = (url: URL, timeoutMs: number, question?: HttpQuestion) => Promise<HttpAnswer>

/** More than any answer that is asked for; ComfyUI's health with eight GPUs has 4 KB. */
const MAX_BODY_BYTES = 1024 ** 2

/**
 * Asks on a fresh connection each time: one kept open would say nothing about who can still connect. By `node:http`, which
 * the sidecar's own server has loaded anyway: a question costs half of what it costs with undici, and the sidecar is megabytes smaller.
 */
export function createHttpAsk(): { readonly ask: HttpAsk; readonly close: () => void } {
  const open = new Set<ClientRequest>()
  const ask: HttpAsk = (url, timeoutMs, question = {}) =>
    new Promise((resolve, reject) => {
      const sent = send(url, question)
      open.add(sent)
      const timer = setTimeout(() => {
        reject(late(timeoutMs))
        sent.destroy()
      }, timeoutMs)
      let isAnswered = false
      sent.on('error', reject)
      sent.once('response', (response) => {
        isAnswered = true
        readBounded(response, question.headBytes).then(resolve, reject)
      })
      sent.once('close', () => {
        open.delete(sent)
        clearTimeout(timer)
        // An answer that ends too early fails by itself.
        if (!isAnswered) reject(new Error('the connection was closed without an answer'))
      })
    })
  const close = () => {
    for (const sent of open) sent.destroy()
  }
  return { ask, close }
}

function send(url: URL, { json }: HttpQuestion): ClientRequest {
  const body = json === undefined ? '' : JSON.stringify(json)
  const about = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  const sent = request({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port,
    path: `${url.pathname}${url.search}`,
    method: json === undefined ? 'GET' : 'POST',
    agent: false,
    headers: {
      host: url.host,
      'user-agent': 'machinegen-sidecar',
      accept: '*/*',
      ...(json === undefined ? {} : about),
    },
  })
  sent.end(body)
  return sent
}

function late(timeoutMs: number): Error {
  return Object.assign(new Error(`no answer within ${timeoutMs} ms`), { name: 'TimeoutError' })
}

/** Reads to the end, or to `headBytes`; leaving the loop cuts the connection. */
async function readBounded(response: IncomingMessage, headBytes = Number.POSITIVE_INFINITY): Promise<HttpAnswer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > headBytes) break
    if (bytes > MAX_BODY_BYTES) throw new Error(`the answer is larger than ${MAX_BODY_BYTES} bytes`)
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString(), isCut: bytes > headBytes }
}
