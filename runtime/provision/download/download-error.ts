/**
 * Why a download stopped. `transient`: the same may work in a moment. `changed`: the source has another file now, what
 * was fetched of the old one is worth nothing. `refused`: it will not work until somebody does something.
 */
export class DownloadError extends Error {
  override readonly name = 'DownloadError'

  constructor(
    readonly kind: 'transient' | 'changed' | 'refused',
    message: string,
    /** What the source asked for before it is asked again. */
    readonly retryAfterMs: number | null = null,
    /** Status of the HTTP answer, where there was one. */
    readonly status: number | null = null,
  ) {
    super(message)
  }
}

/** What a failed system call means for a download. */
export function asDownloadError(error: unknown): DownloadError {
  if (error instanceof DownloadError) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOSPC' || code === 'EDQUOT') return new DownloadError('refused', 'the disk is full')
  if (code !== undefined && DISK_ERRORS.has(code)) return new DownloadError('refused', message)
  return new DownloadError('transient', code === undefined ? message : `${REASONS[code] ?? message}`)
}

const DISK_ERRORS = new Set(['EACCES', 'EPERM', 'EROFS', 'EIO', 'EISDIR', 'ENOTDIR', 'EFBIG', 'ENOENT'])

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing answers there',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'its name could not be looked up just now',
  ETIMEDOUT: 'it did not answer in time',
  EHOSTUNREACH: 'no way leads there',
  ENETUNREACH: 'no way leads there',
}
