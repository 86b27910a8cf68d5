import { destination, type Logger, pino } from 'pino'

export type Log = Pick<Logger, 'info' | 'warn' | 'error'> & { readonly flush: () => void }

/** Where a secret could come along in the context of a line; redacted before it is written. */
const SECRET_PATHS = ['password', 'token', 'secret', 'authorization', 'authToken', 'url'].flatMap((name) => [
  name,
  `context.${name}`,
  `context.*.${name}`,
])

/**
 * JSON lines on stdout in the one schema of the machine: `{timestamp, level, service, gpu, message, context}`. A stopped
 * reader never blocks the sidecar: lines wait in memory.
 */
export function createLog(level = 'info'): Log {
  const out = destination({ fd: 1, sync: false })
  // The logger behind the pipe may end first at a stop; nobody reads what is said then.
  out.on('error', () => {})
  const logger = pino(
    {
      level,
      base: { service: 'sidecar' },
      messageKey: 'message',
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: '[redacted]' },
    },
    out,
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
