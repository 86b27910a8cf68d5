import { setTimeout as delay } from 'node:timers/promises'
import { asDownloadError, type DownloadError } from './download-error.ts'

export interface RetryOptions {
  /** Failures in a row, without any progress, after which the last one is final. */
  readonly retries: number
  /** Hears of each failure and of the pause after it. */
  readonly onFailure?: (error: DownloadError, pauseMs: number) => void
  /** Grows with progress: something that advances is not failing. */
  readonly progress?: () => number
  readonly initialMs?: number
  /** Ends a pause, with the error before it. */
  readonly signal?: AbortSignal
}

const INITIAL_MS = 500
const MOST_MS = 60_000

/** What asks for more patience than this is not busy, it is closed. */
const MOST_ASKED_MS = 15 * 60_000

/** Tries until it works, with growing pauses and what a server asks for; gives up on what is not `transient`. */
export async function withRetries<Result>(attempt: () => Promise<Result>, options: RetryOptions): Promise<Result> {
  const { retries, onFailure, progress = () => 0, initialMs = INITIAL_MS, signal } = options
  let before = progress()
  for (let failures = 1; ; failures += 1) {
    try {
      return await attempt()
    } catch (thrown) {
      const error = asDownloadError(thrown)
      const reached = progress()
      if (reached > before) failures = 1
      before = reached
      if (
        signal?.aborted ||
        error.kind !== 'transient' ||
        failures > retries ||
        (error.retryAfterMs ?? 0) > MOST_ASKED_MS
      )
        throw error
      const pauseMs = pauseAfter(failures, initialMs, error.retryAfterMs)
      onFailure?.(error, pauseMs)
      await delay(pauseMs, undefined, { signal }).catch(() => Promise.reject(error))
    }
  }
}

/** Doubles with each failure, and is spread so that many do not come back at one moment. */
function pauseAfter(failures: number, initialMs: number, askedMs: number | null): number {
  const pauseMs = Math.min(MOST_MS, initialMs * 2 ** (failures - 1)) * (0.5 + Math.random() / 2)
  return Math.round(Math.max(pauseMs, askedMs ?? 0))
}
