import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { jsonBytes } from './answer.ts'
import { announcesTooMuch } from './read-body.ts'
import type { ErrorCode } from './refusal.ts'

export interface HttpServer {
  readonly port: number
  /** Cuts what is still connected: a reader that lingers must not hold up the stop. */
  readonly close: () => Promise<void>
}

export interface HttpServerOptions {
  readonly listen: string
  readonly port: number
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void
  readonly limits?: Partial<HttpLimits>
}

export interface HttpLimits {
  readonly maxHeaderBytes: number
  readonly maxConnections: number
  /** For all headers to arrive, from the first byte or the connection on. */
  readonly headersMs: number
  /** For a whole request to arrive. */
  readonly requestMs: number
  /** Between two requests of a connection; load balancers keep theirs for less. */
  readonly keepAliveMs: number
  /** Without a byte in either direction. */
  readonly idleMs: number
}

export const LIMITS: HttpLimits = {
  // nginx in front takes 64 KB; cookies of the services behind it come along.
  maxHeaderBytes: 64 * 1024,
  maxConnections: 512,
  headersMs: 10_000,
  requestMs: 15_000,
  keepAliveMs: 65_000,
  idleMs: 60_000,
}

/** How often slow requests are looked for. */
const CHECK_INTERVAL_MS = 2000

/** Serves; resolves as soon as it listens, rejects where it cannot. */
export function startServer({ listen, port, onRequest, limits }: HttpServerOptions): Promise<HttpServer> {
  const { maxHeaderBytes, maxConnections, headersMs, requestMs, keepAliveMs, idleMs } = { ...LIMITS, ...limits }
  const server = createServer(
    {
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: headersMs,
      requestTimeout: requestMs,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: Math.min(CHECK_INTERVAL_MS, headersMs),
      // A peer that vanished without a word is noticed, and its stream ends.
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      noDelay: true,
    },
    onRequest,
  )
  server.timeout = idleMs
  server.maxConnections = maxConnections
  server.on('clientError', refuseBrokenRequest)
  // `Expect: 100-continue`: whoever asks before sending a large body is told before.
  server.on('checkContinue', (request, response) => {
    if (!announcesTooMuch(request)) response.writeContinue()
    onRequest(request, response)
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: listen, port }, () => {
      server.off('error', reject)
      // Nothing that a single connection does may end the process.
      server.on('error', () => {})
      resolve({ port: portOf(server), close: () => closeServer(server) })
    })
  })
}

const BROKEN: Readonly<Record<string, readonly [number, string, ErrorCode, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'HEADERS_TOO_LARGE', 'its headers are too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Content Too Large', 'BODY_TOO_LARGE', 'its chunk extensions are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'REQUEST_TIMEOUT', 'it did not arrive in time'],
}

/** What is no HTTP, or too slow, or too large, is answered as long as nothing else is on its way, and cut. */
function refuseBrokenRequest(error: NodeJS.ErrnoException, stream: Socket): void {
  // The answer that is under way on this connection, where there is one: Node keeps it there and has no public name for it.
  const busy = (stream as { _httpMessage?: { headersSent: boolean } | null })._httpMessage
  if (!stream.writable || busy?.headersSent === true || error.code === 'ECONNRESET') {
    stream.destroy()
    return
  }
  const [status, phrase, code, why] = BROKEN[error.code ?? ''] ?? [400, 'Bad Request', 'BAD_REQUEST', 'it is not HTTP']
  const body = jsonBytes({ error: { code, message: `cannot read this request: ${why}` } })
  const head = [
    `HTTP/1.1 ${status} ${phrase}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${body.length}`,
    'Connection: close',
  ]
  stream.end(Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body]), () => stream.destroy())
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
