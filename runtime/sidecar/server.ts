import { createServer, type Server, type ServerResponse } from 'node:http'
import type { Answer } from './routes.ts'

export interface HttpServer {
  readonly port: number
  /** Cuts what is still connected: a reader that lingers must not hold up the stop. */
  readonly close: () => Promise<void>
}

export interface HttpServerOptions {
  readonly listen: string
  readonly port: number
  readonly answer: (method: string, path: string) => Answer
  readonly onError: (error: unknown, path: string) => void
}

/** Serves JSON answers; resolves as soon as it listens, rejects where it cannot. */
export function startServer({ listen, port, answer, onError }: HttpServerOptions): Promise<HttpServer> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?', 1)[0]!
    const method = request.method ?? 'GET'
    request.resume()
    try {
      send(response, method, answer(method, path))
    } catch (error) {
      onError(error, path)
      const body = { error: { code: 'INTERNAL', message: 'the sidecar cannot answer that; its log says why' } }
      send(response, method, { status: 500, body })
    }
  })
  server.requestTimeout = 10_000
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: listen, port }, () => {
      server.off('error', reject)
      server.on('error', (error) => onError(error, ''))
      resolve({ port: portOf(server), close: () => closeServer(server) })
    })
  })
}

function send(response: ServerResponse, method: string, { status, body, headers }: Answer): void {
  const text = Buffer.from(`${JSON.stringify(body)}\n`)
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': text.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  })
  response.end(method === 'HEAD' ? undefined : text)
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
