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
  /** Id of a request, a job, a prompt or a boot, whichever the line names first in this order. */
  readonly correlationId: string | null
}

/** A place in time, or between two lines (see `LogPage`). */
export type LogBound = { readonly timeMs: number } | { readonly cursor: LogCursor }

/** The place after the oldest `count` lines of exactly `timeMs` (`null`: after all of them) that a filter lets pass. */
export interface LogCursor {
  readonly timeMs: number
  readonly count: number | null
}

export interface LogFilter {
  /** Names of services or bundles (`gpu0`, `comfyui`); `null`: all. */
  readonly services: readonly string[] | null
  readonly gpu: number | null
  /** The weakest level that is shown; `null`: all. */
  readonly level: LogLevel | null
  /** Only lines from here on. */
  readonly since: LogBound | null
  /** Only lines up to here. */
  readonly until: LogBound | null
  /** The newest lines that the other conditions let pass, at most this many. */
  readonly lines: number
  /** Text that a line must have: a part of it in any case, or a pattern. */
  readonly grep: LogGrep | null
}

export type LogGrep =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'pattern'; readonly source: string; readonly flags: string }

/** Lines by time, oldest first. A cursor is only of use with the filter that it came from. */
export interface LogPage {
  readonly lines: readonly LogLine[]
  /** The time limit ended the search: there may be more lines before `older`. */
  readonly truncated: boolean
  /** As `until`, gives the lines before these; `null` where there are none. */
  readonly older: string | null
  /** As `since`, gives the lines after these; `null` where there is no line at all. */
  readonly newer: string | null
}

/** Why a query or follow ended without being asked to; `message` is for whoever asked. */
export interface LogRefusal {
  readonly code: 'BAD_PATTERN' | 'SLOW_PATTERN' | 'FAILED'
  readonly message: string
}

export interface LogStore {
  /** The newest lines that the filter lets pass. Bounded in time and memory. Rejects with a LogQueryError. */
  readonly query: (filter: LogFilter) => Promise<LogPage>
  /** The newest lines of one service, without requests that a proxy noted: quick, for a service that has failed. */
  readonly lastLines: (service: string, count: number) => Promise<readonly LogLine[]>
  /**
   * The lines that `query` gives, then each new one. No line is lost or given twice while files rotate. Reading waits for a
   * promise that `onLine` returns: a slow reader holds nothing in memory. `onEnd` is called once if it ends by itself, with
   * the reason, and never after the returned function was called.
   */
  readonly follow: (
    filter: LogFilter,
    onLine: (line: LogLine) => void | Promise<void>,
    onEnd: (reason: LogRefusal) => void,
  ) => () => void
  /** Ends all followers. */
  readonly close: () => void
}

/** A query that cannot be answered, by its `refusal`. */
export class LogQueryError extends Error {
  readonly refusal: LogRefusal

  constructor(refusal: LogRefusal) {
    super(refusal.message)
    this.refusal = refusal
  }
}
