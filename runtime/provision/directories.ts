import { chmodSync, chownSync, mkdirSync, type Stats, statSync } from 'node:fs'
import type { PlannedDirectory } from '../../schema/plan.ts'
import { findUser, isRoot } from './account.ts'

/**
 * Creates what is missing of the planned directories. One that exists keeps its mode, unless the plan wants it private,
 * and gets its user; what is in it is never touched. Gives what could not be done, a line each.
 */
export function createDirectories(directories: readonly PlannedDirectory[]): string[] {
  return directories.flatMap((directory) => {
    try {
      createDirectory(directory)
      return []
    } catch (error) {
      return [`cannot create directory "${directory.path}": ${explain(error as NodeJS.ErrnoException)}`]
    }
  })
}

function createDirectory({ path, mode, user }: PlannedDirectory): void {
  const isNew = mkdirSync(path, { recursive: true, mode }) !== undefined
  const stats = statSync(path)
  const isTooOpen = isPrivate(mode) && !isPrivate(stats.mode)
  if (isNew || isTooOpen) chmodSync(path, mode)
  if (user !== null && isRoot()) giveTo(path, user, stats)
}

function isPrivate(mode: number): boolean {
  return (mode & 0o077) === 0
}

function giveTo(path: string, user: string, stats: Stats): void {
  const owner = findUser(user)
  if (owner === null) throw new Error(`there is no user "${user}" on this system`)
  if (stats.uid !== owner.uid) chownSync(path, owner.uid, owner.gid)
}

function explain({ code, message }: NodeJS.ErrnoException): string {
  return (code === undefined ? undefined : REASONS[code]) ?? message
}

const REASONS: Readonly<Record<string, string>> = {
  // What Node says of a recursive mkdir on a read-only root.
  ENOENT: 'its parent does not exist, or the file system is read-only',
  EEXIST: 'something else of that name is in its place',
  ENOTDIR: 'one of its parents is not a directory',
  EACCES: 'this user may not write to its parent',
  EPERM: 'this user may not change it',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
}
