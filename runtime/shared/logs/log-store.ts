import type { LogLevel } from './log-level.ts'

/** A line of any service, as everything that reads logs back shows it. */
export interface LogLine {
  /** ISO 8601, UTC, milliseconds: when the logger took the line. */
  readonly timestamp: string
  /** `info` where the line does not say. */
  readonly level: LogLevel
  readonly service: string
  /** `null` for a service of the whole machine. */
  readonly gpu: number | null
  /** Without colours; a traceback is one line with line breaks in its message. */
  readonly message: string
  /** The further fields of a structured line. */
  readonly context: Readonly<Record<string, unknown>> | null
  /** Id of a request, a job, a prompt or a boot that the line names. */
  readonly correlationId: string | null
}

/** Which lines. What is `null` or absent does not restrict. */
export interface LogFilter {
  /** Names of services or bundles (`gpu0`, `comfyui`). Empty: all services. */
  readonly services: readonly string[]
  readonly gpu: number | null
  /** This level and those above it. */
  readonly level: LogLevel | null
  /** Not older than this, ms since 1970. */
  readonly sinceMs: number | null
  /** Not newer than this, ms since 1970. */
  readonly untilMs?: number | null
  /** Only what came after this place: `newer` of a page. */
  readonly after?: LogCursor | null
  /** Only what came before this place: `older` of a page. */
  readonly before?: LogCursor | null
  /** Text that the line contains, letter case apart. */
  readonly grep: string | null
  /** A pattern that the line matches; one that takes too long ends the query. */
  readonly pattern?: RegExp | null
  readonly correlationId: string | null
  /** The newest so many of the lines that fit. */
  readonly lines: number
}

/** The place behind the oldest `count` of the fitting lines of exactly `timeMs`; `null`: behind all of them. */
export interface LogCursor {
  readonly timeMs: number
  readonly count: number | null
}

export interface LogPage {
  /** Oldest first. */
  readonly lines: readonly LogLine[]
  /** The search ended at its time limit before it had seen everything that could fit: `older` goes on from there. */
  readonly isPartial: boolean
  /** With `before` and the same filter otherwise: the lines before these. `null` where there are none. */
  readonly older: LogCursor | null
  /** With `after` and the same filter otherwise: the lines after these. `null` where there is no line at all. */
  readonly newer: LogCursor | null
}

/** The logs of all services of a machine. */
export interface LogStore {
  /**
   * Bounded in time and memory whatever lies on the disk. An abort ends it early with what it has. Rejects with a
   * LogQueryError where the pattern is too slow.
   */
  readonly query: (filter: LogFilter, signal?: AbortSignal) => Promise<LogPage>
  /** The newest messages of one service, oldest first, requests that a proxy noted apart. Reads no more than it needs. */
  readonly lastLines: (service: string, count: number) => Promise<readonly LogLine[]>
  /**
   * The newest `filter.lines` lines that fit, then each new one, without a gap or a line twice between the two and across
   * rotations. Ends when aborted, which is no error. It reads on only when the next line is asked for: for a slow reader the
   * disk is the buffer, and where it was rotated away meanwhile a line of level `warn` says so.
   */
  readonly follow: (filter: LogFilter, signal: AbortSignal) => AsyncIterable<LogLine>
}

/** A query that cannot be answered as it was asked. */
export class LogQueryError extends Error {
  readonly code = 'SLOW_PATTERN'
}
