/** The HTTP that all stand-ins share: a route table over node:http, bounded bodies, the latency knob. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The path as it was sent, still percent-encoded. */
  readonly path: string
  readonly query: URLSearchParams
  /** Decoded values of the `{name}` segments of the route. */
  readonly parameters: Readonly<Record<string, string>>
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE' | 'PATCH'
  /** Literal segments and `{name}` segments. Segments are split before decoding, so `%2F` stays inside one. */
  readonly path: string
  handle(exchange: Exchange): void | Promise<void>
}

/** How the imitated program's own web framework answers where no route does. */
export interface Manners {
  notFound(exchange: Exchange): void
  wrongMethod(exchange: Exchange, allowed: readonly string[]): void
  failed(exchange: Exchange, error: unknown): void
  /** Looks at every request first; false means that it has been answered. */
  admit?(exchange: Exchange): boolean | Promise<boolean>
}

/** An answer that a handler gives by throwing: caught by `Manners.failed`. */
export class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

interface CompiledRoute {
  readonly route: Route
  readonly segments: readonly string[]
}

/** A request listener for a route table. `slowMs` is waited before every answer. */
export function answerBy(routes: readonly Route[], manners: Manners, slowMs: number): RequestListener {
  const compiled = routes.map((route) => ({ route, segments: route.path.split('/') }))
  return (request, response) => {
    const exchange = openExchange(request, response)
    void answer(compiled, manners, slowMs, exchange).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else manners.failed(exchange, error)
    })
  }
}

/** Splits a request's target into raw path and query, with no parameters yet. */
export function openExchange(request: IncomingMessage, response: ServerResponse): Exchange {
  const target = request.url ?? '/'
  const mark = target.indexOf('?')
  return {
    request,
    response,
    path: mark < 0 ? target : target.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)),
    parameters: {},
  }
}

async function answer(routes: readonly CompiledRoute[], manners: Manners, slowMs: number, exchange: Exchange) {
  if (slowMs > 0) await sleep(slowMs)
  if (manners.admit && !(await manners.admit(exchange))) return
  const method = exchange.request.method === 'HEAD' ? 'GET' : exchange.request.method
  const allowed: string[] = []
  for (const { route, segments } of routes) {
    const parameters = match(segments, exchange.path)
    if (parameters === undefined) continue
    if (route.method === method) {
      await route.handle({ ...exchange, parameters })
      return
    }
    allowed.push(route.method)
  }
  if (allowed.length > 0) manners.wrongMethod(exchange, allowed)
  else manners.notFound(exchange)
}

function match(segments: readonly string[], path: string): Record<string, string> | undefined {
  const parts = path.split('/')
  if (parts.length !== segments.length) return undefined
  const parameters: Record<string, string> = {}
  for (const [index, segment] of segments.entries()) {
    const part = parts[index] as string
    if (!segment.startsWith('{')) {
      if (part !== segment) return undefined
    } else {
      if (part === '') return undefined
      parameters[segment.slice(1, -1)] = decode(part)
    }
  }
  return parameters
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

export function answerJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, 'application/json; charset=utf-8', JSON.stringify(value))
}

export function answerText(response: ServerResponse, status: number, text: string): void {
  send(response, status, 'text/plain; charset=utf-8', text)
}

export function answerHtml(response: ServerResponse, status: number, html: string): void {
  send(response, status, 'text/html; charset=utf-8', html)
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  const bytes = Buffer.from(body)
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': bytes.length })
  response.end(response.req.method === 'HEAD' ? undefined : bytes)
}

/** A status with no body. */
export function answerEmpty(response: ServerResponse, status: number): void {
  response.writeHead(status, status === 204 ? {} : { 'Content-Length': 0 })
  response.end()
}

/** A whole body. Throws what `tooLarge` makes of the size when `maxBytes` is passed; the rest is read and dropped. */
export async function readBody(
  request: IncomingMessage,
  maxBytes: number,
  tooLarge: (actualBytes: number) => Error,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) {
      request.resume()
      throw tooLarge(size)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/**
 * A server that lets clients take their time, as aiohttp and uvicorn do: no limit on the length of a request, and none of
 * Node's own clean-up timer, so that the process has no timer at rest. With `tls` it speaks HTTPS.
 */
export function createQuietServer(listener: RequestListener, tls?: { key: string; cert: string }): Server {
  const options: ServerOptions = {
    requestTimeout: 0,
    headersTimeout: 0,
    keepAliveTimeout: 75_000, // aiohttp's default; the timer exists only while a connection idles
    connectionsCheckingInterval: 2 ** 31 - 1,
  }
  if (tls) return createTlsServer({ ...options, ...tls }, listener)
  return createServer(options, listener)
}

/** Resolves when the server listens; rejects with the system's error (`code` EADDRINUSE, EACCES, ...). */
export function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, ipv6Only: host === '::' }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

const ERRNO: Readonly<Record<string, readonly [number, string]>> = {
  EADDRINUSE: [98, 'address already in use'],
  EADDRNOTAVAIL: [99, 'cannot assign requested address'],
  EACCES: [13, 'permission denied'],
}

/** Python's words for a failed bind, which log readers look for. */
export function describeBindError(error: unknown, host: string, port: number): string {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const [number, text] = ERRNO[code] ?? [22, code || String(error)]
  return `[Errno ${number}] error while attempting to bind on address ('${host}', ${port}): ${text}`
}
