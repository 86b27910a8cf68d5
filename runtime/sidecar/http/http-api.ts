import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ApiToken } from '../../shared/api-token.ts'
import { handleRequest, type RequestRules } from './handle-request.ts'
import type { HttpParts } from './http-parts.ts'
import { isLoopback } from './origin.ts'
import { createRouter } from './router.ts'
import { allRoutes } from './routes/all-routes.ts'
import { STREAM_TIMES, type StreamTimes } from './send-stream.ts'
import { createTokenGuard } from './token-guard.ts'

export interface HttpApiOptions {
  readonly parts: HttpParts
  /** Gives the token; called when it is first needed, and again while there is none. */
  readonly loadToken: () => ApiToken
  /** For the log of the sidecar: what a person should know, and what is broken here. */
  readonly onProblem: (message: string) => void
  readonly onError: (error: unknown, path: string) => void
  readonly streamTimes?: StreamTimes
}

export interface HttpApi {
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void
  /** Loads the token; what is wrong with it goes to `onProblem`. */
  readonly prepareToken: () => void
}

/** The API, ready to answer from what its parts know so far. */
export function createHttpApi({
  parts,
  loadToken,
  onProblem,
  onError,
  streamTimes = STREAM_TIMES,
}: HttpApiOptions): HttpApi {
  const { machine, sidecar } = parts.view.plan
  const rules: RequestRules = {
    find: createRouter(allRoutes(parts)),
    guard: createTokenGuard({ machineId: machine.id, load: loadToken, nowMs: parts.view.nowMs, onProblem }),
    isLoopbackOnly: isLoopback(sidecar.listen),
    allowedOrigins: sidecar.allowedOrigins,
    streamTimes,
    onError: (error, request) => onError(error, request.url ?? ''),
  }
  return { handle: (request, response) => handleRequest(rules, request, response), prepareToken: rules.guard.prepare }
}
