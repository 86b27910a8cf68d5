/** Work that runs, and when it was last seen to go on. */
export interface Progress {
  readonly job: string
  /** Whatever changes while the work goes on. */
  readonly mark: string
  readonly sinceMs: number
}

/**
 * The progress after a look at it: a new job and a new mark begin anew. `job` is `null` while nothing runs. Times are
 * those of a clock that never jumps.
 */
export function follow(before: Progress | null, job: string | null, mark: string, nowMs: number): Progress | null {
  if (job === null) return null
  if (before?.job === job && before.mark === mark) return before
  return { job, mark, sinceMs: nowMs }
}

/** Why work counts as hanging; `null` while it goes on, and where `stallMs` is 0 or not given: nobody wants to know. */
export function stallReason(progress: Progress | null, stallMs: number | undefined, nowMs: number): string | null {
  if (progress === null || !stallMs || nowMs - progress.sinceMs < stallMs) return null
  const seconds = Math.round((nowMs - progress.sinceMs) / 1000)
  return `${progress.job} has made no progress for ${seconds} s`
}
