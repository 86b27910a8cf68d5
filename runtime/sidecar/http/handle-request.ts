import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Answer, json, refused, sendWhole } from './answer.ts'
import { overSignal } from './client-leaves.ts'
import { allowedMethods, type Endpoint, type Method, type Question, type Route } from './endpoint.ts'
import { clientAddress, isLoopbackName, provenanceOf } from './origin.ts'
import { announcesTooMuch, bodyTooLarge, parseFields, readBody } from './read-body.ts'
import { quoted, Refusal } from './refusal.ts'
import { parseTarget } from './request-target.ts'
import type { RouteMatch } from './router.ts'
import { type StreamTimes, sendStream } from './send-stream.ts'
import type { TokenGuard } from './token-guard.ts'

export interface RequestRules {
  readonly find: (path: string) => RouteMatch
  readonly guard: TokenGuard
  /** Only names of loopback are answered to. */
  readonly isLoopbackOnly: boolean
  readonly allowedOrigins: readonly string[]
  readonly streamTimes: StreamTimes
  /** Something here is broken; the client gets 500. */
  readonly onError: (error: unknown, request: IncomingMessage) => void
}

/** Longest text in a body: a reason. */
const MAX_FIELD_LENGTH = 200

/** More is taken from a client that has to be refused, so that it reads why before its connection ends. */
const LINGER_MS = 500

/** Answers one request. Never throws. */
export function handleRequest(rules: RequestRules, request: IncomingMessage, response: ServerResponse): void {
  try {
    const answer = respond(rules, request, response)
    if (answer instanceof Promise) answer.then((late) => send(rules, request, response, late)).catch(fail)
    else send(rules, request, response, answer)
  } catch (error) {
    fail(error)
  }

  function fail(error: unknown): void {
    const refusal = error instanceof Refusal ? error : internal(error)
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    if (refusal.status === 413) refuseAndLinger(rules, request, response, refusal)
    else send(rules, request, response, refused(refusal))
  }

  function internal(error: unknown): Refusal {
    rules.onError(error, request)
    return new Refusal(500, 'INTERNAL', 'cannot answer that; the log of the sidecar says why')
  }
}

function respond(rules: RequestRules, request: IncomingMessage, response: ServerResponse): Answer | Promise<Answer> {
  const target = parseTarget(request.url ?? '')
  if (target === null) throw new Refusal(400, 'BAD_REQUEST', `cannot use ${quoted(request.url ?? '')} as a path`)
  const method = request.method ?? 'GET'
  if (target.path === '*') {
    if (method === 'OPTIONS') return json(200, { methods: ['GET', 'HEAD', 'POST', 'OPTIONS'] })
    throw new Refusal(400, 'BAD_REQUEST', 'cannot use "*" as a path here')
  }
  const { route, name } = rules.find(target.path)
  if (method === 'OPTIONS') return options(route)
  const endpoint = route.methods[(method === 'HEAD' ? 'GET' : method) as Method]
  if (endpoint === undefined) throw notAllowed(method, route)
  checkAccess(rules, request, endpoint)
  if (announcesTooMuch(request)) throw bodyTooLarge()
  const question: Question = {
    name,
    query: target.query,
    fields: {},
    client: '',
    header: (header: string) => headerOf(request, header),
    hasToken: () => rules.guard.isShown(request),
    waitsLong: () => request.socket.setTimeout(0),
    signal: () => overSignal(request, response),
    afterwards: (action: () => void) => whenOver(overSignal(request, response), action),
  }
  if (endpoint.fields === null) {
    request.resume()
    return endpoint.run(question)
  }
  return withBody(request, endpoint.fields, { ...question, client: clientAddress(request) }, endpoint)
}

async function withBody(
  request: IncomingMessage,
  known: readonly string[],
  question: Question,
  endpoint: Endpoint,
): Promise<Answer> {
  const bytes = await readBody(request)
  checkContentType(request, bytes.length > 0)
  return endpoint.run({ ...question, fields: parseFields(bytes, known, MAX_FIELD_LENGTH) })
}

/** Pages can send forms anywhere without being asked; JSON they cannot. */
function checkContentType({ headers }: IncomingMessage, hasBody: boolean): void {
  const type = headers['content-type']
  const isFromBrowser = headers.origin !== undefined || headers['sec-fetch-site'] !== undefined
  if (type === undefined ? !hasBody : /^application\/json *(;|$)/i.test(type) || !(hasBody || isFromBrowser)) return
  const given = type === undefined ? 'without a content type' : `of type ${quoted(type)}`
  throw new Refusal(415, 'UNSUPPORTED_MEDIA_TYPE', `cannot use a body ${given}: send "application/json", or no body`)
}

function options(route: Route): Answer {
  const allow = allowedMethods(route)
  return json(200, { methods: allow }, { allow: allow.join(', ') })
}

function notAllowed(method: string, route: Route): Refusal {
  const allow = allowedMethods(route)
  const message = `cannot ${method} "${route.path}": it takes ${allow.join(', ')}`
  return new Refusal(405, 'METHOD_NOT_ALLOWED', message, { allow: allow.join(', ') })
}

function checkAccess(rules: RequestRules, request: IncomingMessage, endpoint: Endpoint): void {
  const { guard, isLoopbackOnly, allowedOrigins } = rules
  if (endpoint.changes && provenanceOf(request, allowedOrigins) === 'foreign') {
    const page = quoted(request.headers.origin ?? 'another site')
    const hint = 'sidecar.allowedOrigins in the machine file names the pages that may'
    throw new Refusal(403, 'FORBIDDEN_ORIGIN', `cannot let a page of ${page} change this machine: ${hint}`)
  }
  if (endpoint.access === 'token') {
    guard.demand(request)
    return
  }
  if (!isLoopbackOnly || endpoint.anyHost || isLoopbackName(request.headers.host) || guard.isShown(request)) return
  const message = `cannot answer to the name ${quoted(request.headers.host ?? '')}: use "localhost" or an address, or show the token`
  throw new Refusal(421, 'MISDIRECTED', message)
}

function whenOver(signal: AbortSignal, action: () => void): void {
  if (signal.aborted) action()
  else signal.addEventListener('abort', action, { once: true })
}

function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

function send(rules: RequestRules, request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  const isHead = request.method === 'HEAD'
  const extraHeaders = corsHeaders(rules, request)
  if (!('pieces' in answer)) {
    if (!response.destroyed) sendWhole(response, isHead, answer, extraHeaders)
    return
  }
  const signal = overSignal(request, response)
  const cut = () => request.socket.destroy()
  sendStream(response, isHead, answer, { extraHeaders, signal, cut, times: rules.streamTimes }).catch(
    (error: unknown) => {
      if (!signal.aborted) rules.onError(error, request)
      cut()
    },
  )
}

/** What tells a browser that a page of another origin may read the answer. */
function corsHeaders({ allowedOrigins }: RequestRules, request: IncomingMessage): readonly string[] {
  if (allowedOrigins.length === 0) return []
  const { origin } = request.headers
  if (origin === undefined || provenanceOf(request, allowedOrigins) !== 'allowed') return ['vary', 'origin']
  const allow = ['access-control-allow-origin', origin, 'vary', 'origin']
  if (request.method !== 'OPTIONS') return allow
  return [
    ...allow,
    ...['access-control-allow-methods', 'GET, HEAD, POST'],
    ...['access-control-allow-headers', 'authorization, content-type, last-event-id, x-machine-token'],
    ...['access-control-max-age', '600'],
  ]
}

/** The answer goes out whole, and the rest of the body is taken for a moment: a reset would take the answer with it. */
function refuseAndLinger(
  rules: RequestRules,
  request: IncomingMessage,
  response: ServerResponse,
  refusal: Refusal,
): void {
  const { body, ...head } = refused(refusal)
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`)
  const extra = Object.fromEntries(pairs(corsHeaders(rules, request)))
  response.writeHead(head.status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': bytes.length,
    'cache-control': 'no-store',
    connection: 'close',
    ...extra,
  })
  response.write(bytes)
  request.resume()
  const end = () => {
    clearTimeout(timer)
    response.end()
  }
  const timer = setTimeout(end, LINGER_MS)
  request.once('end', end)
  response.once('close', () => clearTimeout(timer))
}

function pairs(flat: readonly string[]): [string, string][] {
  return Array.from({ length: flat.length / 2 }, (_, index) => [flat[2 * index]!, flat[2 * index + 1]!])
}
