import { getSystemErrorMap } from 'node:util'

/**
 * `WRITE_FAILED`, `READ_FAILED`: the system refused. `LOCKED`: another process writes the same directory.
 * `BAD_ARTIFACT`: the artifacts contradict each other or leave the output directory, a bug of whoever made them.
 */
export type WriteErrorCode = 'WRITE_FAILED' | 'READ_FAILED' | 'LOCKED' | 'BAD_ARTIFACT'

/** What every function of this room throws. `path` is what could not be written or read. */
export interface WriteError extends Error {
  readonly code: WriteErrorCode
  readonly path: string
  /** `LOCKED` only: the process that has the lock. */
  readonly pid?: number
}

export function writeError(
  code: WriteErrorCode,
  path: string,
  why: string,
  more: { readonly cause?: unknown; readonly pid?: number } = {},
): WriteError {
  const verb = code === 'READ_FAILED' ? 'read' : 'write'
  const options = more.cause === undefined ? undefined : { cause: more.cause }
  const details = more.pid === undefined ? { code, path } : { code, path, pid: more.pid }
  return Object.assign(new Error(`cannot ${verb} "${path}": ${why}`, options), details)
}

export function isWriteError(error: unknown): error is WriteError {
  return error instanceof Error && 'code' in error && WRITE_ERROR_CODES.has(error.code)
}

const WRITE_ERROR_CODES: ReadonlySet<unknown> = new Set<WriteErrorCode>([
  'WRITE_FAILED',
  'READ_FAILED',
  'LOCKED',
  'BAD_ARTIFACT',
])

/**
 * Runs one step on `path`; what the system says against it becomes a `WriteError` in words. Where the step goes through
 * many paths, `path` tells the one it has come to.
 */
export function naming<T>(code: 'WRITE_FAILED' | 'READ_FAILED', path: string | (() => string), step: () => T): T {
  try {
    return step()
  } catch (error) {
    if (isWriteError(error)) throw error
    throw writeError(code, typeof path === 'string' ? path : path(), inWords(error), { cause: error })
  }
}

/** The system's error code (`ENOENT`, ...), if the error is one of the system's. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'syscall' in error ? (error as NodeJS.ErrnoException).code : undefined
}

function inWords(error: unknown): string {
  const { errno, code, message } = error as NodeJS.ErrnoException
  const known = errno === undefined ? undefined : getSystemErrorMap().get(errno)
  return known === undefined ? message : `${known[1]} (${code})`
}
