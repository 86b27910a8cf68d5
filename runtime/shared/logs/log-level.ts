/** Weakest first. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

const SEVERITY: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

/** Whether `level` is at least as grave as `minimum`. */
export function isAtLeast(level: LogLevel, minimum: LogLevel): boolean {
  return SEVERITY[level] >= SEVERITY[minimum]
}

/** How programs write their levels: python, syslog and nginx, Go, Java, npm and zap, in lower case. */
const NAMES: Readonly<Record<LogLevel, readonly string[]>> = {
  debug: ['debug', 'dbg', 'verbose', 'fine', 'trace', 'trc', 'silly', 'finest', 'notset'],
  info: ['info', 'inf', 'information', 'notice', 'log', 'success', 'http'],
  warn: ['warn', 'wrn', 'warning'],
  error: [
    ...['error', 'err', 'severe', 'exception', 'fatal', 'ftl', 'critical', 'crit', 'alert', 'emerg', 'emergency'],
    ...['panic', 'dpanic'],
  ],
}

const BY_NAME: ReadonlyMap<string, LogLevel> = new Map(
  LOG_LEVELS.flatMap((level) => NAMES[level].map((name): [string, LogLevel] => [name, level])),
)

/** The level of that name, in any case and any program's word for it; `null` where it is none. */
export function levelOfName(name: string): LogLevel | null {
  return BY_NAME.get(name) ?? BY_NAME.get(name.toLowerCase()) ?? null
}

/** The level of pino's and bunyan's numbers: 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal. */
export function levelOfNumber(value: number): LogLevel | null {
  if (!(value > 0)) return null
  return value < 30 ? 'debug' : value < 40 ? 'info' : value < 50 ? 'warn' : 'error'
}
