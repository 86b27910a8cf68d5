import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { ApiToken } from '../../shared/api-token.ts'
import { clientAddress } from './origin.ts'
import { Refusal } from './refusal.ts'

/** How often wrong tokens are told of at the most. */
const REPORT_INTERVAL_MS = 60_000

/** While there is none, it is looked for again, but not by every request. */
const RETRY_INTERVAL_MS = 5000

export interface TokenGuardOptions {
  readonly machineId: string
  readonly load: () => ApiToken
  readonly nowMs: () => number
  readonly onProblem: (message: string) => void
}

export interface TokenGuard {
  /** @throws Refusal where the request does not show the token. */
  readonly demand: (request: IncomingMessage) => void
  /** Whether it shows the token. */
  readonly isShown: (request: IncomingMessage) => boolean
  /** Loads the token now, so that a file that had to be made is there before anybody looks for it. */
  readonly prepare: () => void
}

/**
 * Keeps changes and logs for those who have the token: `Authorization: Bearer`, or `X-Machine-Token` where a proxy in
 * front wants `Authorization` for itself.
 */
export function createTokenGuard(options: TokenGuardOptions): TokenGuard {
  const expected = createExpectation(options)
  const report = createFailureReport(options)
  const isRight = (shown: string): boolean => {
    const digest = expected()
    return digest !== null && timingSafeEqual(digestOf(shown), digest)
  }
  const isShown = (request: IncomingMessage): boolean => shownTokens(request).some(isRight)
  const demand = (request: IncomingMessage): void => {
    if (isShown(request)) return
    if (expected() === null) {
      throw new Refusal(503, 'NO_TOKEN', 'cannot check a token: the machine has none; the log of the sidecar says why')
    }
    const realm = `Bearer realm="${options.machineId}"`
    if (shownTokens(request).length === 0) {
      const message = 'cannot do this without the token: send "Authorization: Bearer" or "X-Machine-Token"'
      throw new Refusal(401, 'UNAUTHORIZED', message, { 'www-authenticate': realm })
    }
    report(clientAddress(request))
    const headers = { 'www-authenticate': `${realm}, error="invalid_token"` }
    throw new Refusal(401, 'UNAUTHORIZED', 'cannot do this with this token: it is not the one of this machine', headers)
  }
  return { demand, isShown, prepare: () => void expected() }
}

/** The digest of the token; loaded when it is first asked for. */
function createExpectation({ load, nowMs, onProblem }: TokenGuardOptions): () => Buffer | null {
  let digest: Buffer | null = null
  let nextTryMs = Number.NEGATIVE_INFINITY
  let told = ''
  return () => {
    if (digest !== null || nowMs() < nextTryMs) return digest
    nextTryMs = nowMs() + RETRY_INTERVAL_MS
    const { value, problems } = load()
    const problem = problems.join('; ')
    if (problem !== '' && problem !== told) onProblem(problem)
    told = problem
    digest = value === null ? null : digestOf(value)
    return digest
  }
}

function createFailureReport({ nowMs, onProblem }: TokenGuardOptions): (address: string) => void {
  let count = 0
  let reportedAtMs = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let last = ''
  const tell = () => {
    timer = undefined
    const times = count === 1 ? 'a request' : `${count} requests`
    onProblem(`refused ${times} with a wrong token, the last one from ${last}`)
    count = 0
    reportedAtMs = nowMs()
  }
  return (address) => {
    count += 1
    last = address
    const waitMs = reportedAtMs + REPORT_INTERVAL_MS - nowMs()
    if (waitMs <= 0 && timer === undefined) tell()
    else timer ??= setTimeout(tell, waitMs).unref()
  }
}

/** Digests have one length, so that the comparison says nothing of the token's. */
function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

function shownTokens({ headers }: IncomingMessage): string[] {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
  const own = headers['x-machine-token']
  return [bearer, typeof own === 'string' ? own.trim() : undefined].filter(
    (token) => token !== undefined && token !== '',
  ) as string[]
}
