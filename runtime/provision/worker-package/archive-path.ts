import { posix } from 'node:path'

/** An archive that is not unpacked: nothing of it is in place. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError'
}

/** Deeper or longer than any package has; file systems end there as well. */
const MAX_DEPTH = 64
const MAX_NAME_BYTES = 1024

/**
 * The path of an entry in the directory that it is unpacked to, without `.` segments; empty for the directory itself.
 * Throws for a path that would be anywhere else.
 */
export function entryPath(name: string): string {
  const refuse = (why: string): never => {
    throw new ArchiveError(`its entry ${quote(name)} ${why}`)
  }
  if (name.includes('\0')) refuse('has a NUL in its name')
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) refuse('has too long a name')
  if (name.startsWith('/')) refuse('has an absolute path')
  const segments = name.split('/').filter((segment) => segment !== '' && segment !== '.')
  if (segments.includes('..')) refuse('leads out of it by ".."')
  if (segments.length > MAX_DEPTH) refuse('lies too deep')
  return segments.join('/')
}

/** Throws for a symbolic link whose text alone leads out: absolute, or with more `..` than it has directories above it. */
export function checkLinkText(path: string, target: string): void {
  const refuse = (why: string): never => {
    throw new ArchiveError(`its link ${quote(path)} ${why} (${quote(target)})`)
  }
  if (target === '' || target.includes('\0')) refuse('has no usable target')
  if (target.startsWith('/')) refuse('leads to an absolute path')
  const reached = posix.normalize(posix.join(posix.dirname(path), target))
  if (reached === '..' || reached.startsWith('../')) refuse('leads out of it')
}

/** Names of an archive may hold anything; a log gets them in one piece. */
export const quote = (text: string): string => JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text)
