import type { BufferPool } from './buffer-pool.ts'
import { type Environment, openConnection, type TakeBytes, type Taken } from './connection.ts'
import { DownloadError } from './download-error.ts'
import { bodyDecoder } from './http-body.ts'
import { MAX_HEAD_BYTES, parseHead, type ResponseHead } from './http-head.ts'

export interface HttpResponse {
  readonly head: ResponseHead
  /** From the first packet to the head. */
  readonly latencyMs: number
  /** Streams the body, to its end or until `take` has enough. A body that ends early is a `transient` error. */
  readonly body: (take: TakeBytes) => Promise<void>
  /** Ends the connection; nothing more is read. */
  readonly close: () => void
}

export interface GetOptions {
  readonly headers: Readonly<Record<string, string>>
  /** Buffers as large as reads shall be. */
  readonly buffers: BufferPool
  readonly environment: Environment
}

/** From the request to the first byte of the answer: hubs look up a lot first. */
const ANSWER_MS = 60_000

/** Between two pieces of a body. */
const SILENCE_MS = 30_000

/** Asks for a URL over HTTP/1.1, one request a connection, and gives the answer without reading its body. */
export async function httpGet(url: URL, { headers, buffers, environment }: GetOptions): Promise<HttpResponse> {
  const startMs = performance.now()
  const connection = await openConnection(url, buffers, environment)
  try {
    connection.write(requestText(url, headers))
    const { head, rest } = await readHead(connection)
    const latencyMs = performance.now() - startMs
    return { head, latencyMs, close: connection.close, body: (take) => readBody(connection, head, rest, take) }
  } catch (error) {
    connection.close()
    throw error
  }
}

type Connection = Awaited<ReturnType<typeof openConnection>>

function requestText(url: URL, headers: GetOptions['headers']): string {
  const lines = [
    `GET ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    'Accept: */*',
    // What arrives is to be the file itself: a compressed one could be neither split nor continued.
    'Accept-Encoding: identity',
    'Connection: close',
    'User-Agent: machinegen',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** The head, and what came of the body with it. */
async function readHead(connection: Connection): Promise<{ readonly head: ResponseHead; readonly rest: Buffer }> {
  let received = Buffer.alloc(0)
  let head: ResponseHead | null = null
  const isComplete = await connection.read((bytes) => {
    received = Buffer.concat([received, bytes])
    for (let end = received.indexOf('\r\n\r\n'); end !== -1; end = received.indexOf('\r\n\r\n')) {
      head = parseHead(received.toString('latin1', 0, end))
      if (head === null) throw new DownloadError('refused', 'its answer is no HTTP')
      received = received.subarray(end + 4)
      // 100 Continue and 103 Early Hints come before the answer.
      if (head.status >= 200) return 'enough'
    }
    if (received.length > MAX_HEAD_BYTES) throw new DownloadError('refused', 'its answer is no HTTP')
    return 'more'
  }, ANSWER_MS)
  if (!isComplete || head === null) throw new DownloadError('transient', 'the connection was cut')
  return { head, rest: received }
}

async function readBody(connection: Connection, head: ResponseHead, rest: Buffer, take: TakeBytes): Promise<void> {
  try {
    const decoder = bodyDecoder(head)
    let next: Taken = 'more'
    const pass: TakeBytes = (bytes, isLasting) => {
      next = 'more'
      const isComplete = decoder.push(bytes, (body) => {
        if (next !== 'enough') next = both(next, take(body, isLasting))
      })
      return isComplete ? 'enough' : next
    }
    const first = pass(rest, true)
    if (first === 'enough') return
    await first
    const isComplete = await connection.read(pass, SILENCE_MS)
    if (!isComplete && !decoder.endsWithConnection) throw new DownloadError('transient', 'the connection was cut')
  } finally {
    connection.close()
  }
}

/** A chunk of a chunked body may ask for something else than the one before it in the same read. */
function both(a: Taken, b: Taken): Taken {
  if (a === 'enough' || b === 'enough') return 'enough'
  if (a === 'more') return b
  return b === 'more' ? a : Promise.all([a, b])
}
