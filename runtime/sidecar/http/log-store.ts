/** A line of a service's log in the one schema of the machine. */
export interface LogLine {
  /** ISO 8601, UTC, milliseconds. */
  readonly timestamp: string
  readonly level: LogLevel
  readonly service: string
  readonly gpu: number | null
  /** May hold several lines: a traceback is one message. */
  readonly message: string
  readonly context: Readonly<Record<string, unknown>> | null
  readonly correlationId: string | null
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

/** Which lines. What is `null` does not restrict. */
export interface LogFilter {
  /** Names of services of the plan; HTTP has looked them up. Empty: all services. */
  readonly services: readonly string[]
  readonly gpu: number | null
  /** This level and those above it. */
  readonly level: LogLevel | null
  /** Not older than this, ms since 1970. */
  readonly sinceMs: number | null
  /** Text that the message contains, letter case apart. Plain text: no pattern of a client is ever run as one. */
  readonly grep: string | null
  readonly correlationId: string | null
  /** The newest so many of the lines that fit. */
  readonly lines: number
}

export interface LogPage {
  /** Oldest first. */
  readonly lines: readonly LogLine[]
  /** The search ended at its bound of bytes or time before it had seen everything that could fit. */
  readonly isPartial: boolean
}

/** The logs of all services, as HTTP reads them. */
export interface LogStore {
  /** Bounded in time and memory whatever lies on the disk. An abort ends it early with what it has. */
  readonly query: (filter: LogFilter, signal: AbortSignal) => Promise<LogPage>
  /**
   * The newest `filter.lines` lines that fit, then each new one, without a gap or a line twice between the two. Ends when
   * aborted, which is no error. It reads on only when the next line is asked for: for a slow reader the disk is the buffer,
   * and what was rotated away meanwhile is skipped.
   */
  readonly follow: (filter: LogFilter, signal: AbortSignal) => AsyncIterable<LogLine>
}
