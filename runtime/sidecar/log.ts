import { destination, type Logger, pino } from 'pino'
import { hideCredentials, REDACTED, type Redactor } from '../shared/logs/redact.ts'

export type Log = Pick<Logger, 'info' | 'warn' | 'error'> & { readonly flush: () => void }

export interface LogOptions {
  /** @default info */
  readonly level?: string
  /** Correlates lines that no request or job does; a `correlationId` of a line goes before it. */
  readonly bootId?: string
  /** Knows the values that must not be written. */
  readonly redactor?: Redactor
}

/** Where a secret could come along in the context of a line; redacted before it is written. */
const SECRET_PATHS = ['password', 'token', 'secret', 'authorization', 'authToken', 'url'].flatMap((name) => [
  name,
  `context.${name}`,
  `context.*.${name}`,
])

/**
 * JSON lines on stdout in the one schema of the machine: `{timestamp, level, service, gpu, correlationId, message, context}`.
 * No secret is in any part of a line, messages included, as far as it is known or looks like one. A stopped reader never
 * blocks the sidecar: lines wait in memory.
 */
export function createLog({ level = 'info', bootId, redactor }: LogOptions = {}): Log {
  const out = destination({ fd: 1, sync: false })
  // The logger behind the pipe may end first at a stop; nobody reads what is said then.
  out.on('error', () => {})
  const redact = redactor?.redact ?? hideCredentials
  const logger = pino(
    {
      level,
      base: { service: 'sidecar', gpu: null },
      messageKey: 'message',
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: REDACTED },
      ...(bootId === undefined
        ? {}
        : { mixin: () => ({ correlationId: bootId }), mixinMergeStrategy: (line, mixin) => ({ ...mixin, ...line }) }),
    },
    { write: (line: string) => out.write(redact(line)) },
  )
  return Object.assign(logger, {
    flush: () => {
      try {
        out.flushSync()
      } catch {
        // Not open yet, or the reader is gone.
      }
    },
  })
}
