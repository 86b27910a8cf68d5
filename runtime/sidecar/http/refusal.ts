/** Every code that an error of the API can have; docs/api.md says what each one means. */
export const ERROR_CODES = [
  'BAD_REQUEST',
  'BAD_PARAMETER',
  'UNAUTHORIZED',
  'FORBIDDEN_ORIGIN',
  'NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'REQUEST_TIMEOUT',
  'NOT_SUPERVISED',
  'REFUSED',
  'FAILED',
  'STOPPED',
  'TIMEOUT',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'MISDIRECTED',
  'HEADERS_TOO_LARGE',
  'INTERNAL',
  'STARTING',
  'BUSY',
  'NO_TOKEN',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

/** Ends the handling of a request with an error that the client is told; the message holds no secret. */
export class Refusal extends Error {
  readonly status: number
  readonly code: ErrorCode
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, code: ErrorCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

/** Names of clients come back in messages: no longer than anything that exists here. */
const MAX_QUOTED_LENGTH = 100

/** `"text"`, shortened. */
export function quoted(text: string): string {
  return text.length <= MAX_QUOTED_LENGTH ? `"${text}"` : `"${text.slice(0, MAX_QUOTED_LENGTH)}..."`
}

/** For what a part of the sidecar that is not loaded yet would answer. */
export function notYet(what: string): Refusal {
  return new Refusal(503, 'STARTING', `cannot answer yet: ${what} of the sidecar is still starting`, {
    'retry-after': '1',
  })
}
