/** Weakest first. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

const SEVERITY: Readonly<Record<LogLevel, number>> = { trace: 0, debug: 1, info: 2, warn: 3, error: 4, fatal: 5 }

/** Whether `level` is at least as grave as `minimum`. */
export function isAtLeast(level: LogLevel, minimum: LogLevel): boolean {
  return SEVERITY[level] >= SEVERITY[minimum]
}

/** How programs write their levels: python, syslog and nginx, Go, Java, npm and zap, in lower case. */
const NAMES: ReadonlyMap<string, LogLevel> = new Map([
  ...['trace', 'trc', 'silly', 'finest'].map((name): [string, LogLevel] => [name, 'trace']),
  ...['debug', 'dbg', 'verbose', 'fine'].map((name): [string, LogLevel] => [name, 'debug']),
  ...['info', 'inf', 'information', 'notice', 'log', 'success', 'http'].map((name): [string, LogLevel] => [
    name,
    'info',
  ]),
  ...['warn', 'wrn', 'warning'].map((name): [string, LogLevel] => [name, 'warn']),
  ...['error', 'err', 'severe', 'exception'].map((name): [string, LogLevel] => [name, 'error']),
  ...['fatal', 'ftl', 'critical', 'crit', 'alert', 'emerg', 'emergency', 'panic', 'dpanic'].map(
    (name): [string, LogLevel] => [name, 'fatal'],
  ),
])

/** The level of that name, in any case and any program's word for it; `null` where it is none. */
export function levelOfName(name: string): LogLevel | null {
  return NAMES.get(name.toLowerCase()) ?? null
}

/**
 * The level of a number: pino and bunyan count 10 (trace) to 60 (fatal), python's logging 10 (debug) to 50 (critical).
 * The two differ; pino's reading holds, since python's formatters write names.
 */
export function levelOfNumber(value: number): LogLevel | null {
  if (!(value >= 0)) return null
  const index = Math.min(LOG_LEVELS.length - 1, Math.max(0, Math.floor(value / 10) - 1))
  return LOG_LEVELS[index]!
}
