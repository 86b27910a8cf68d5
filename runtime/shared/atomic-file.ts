import { randomBytes } from 'node:crypto'
import { closeSync, fchmodSync, fchownSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export interface FileOwner {
  readonly uid: number
  readonly gid: number
}

/**
 * Writes a file that appears whole or not at all, with its mode from the first moment: readers meet the old content or
 * the new one. The temporary name begins with a dot, which s6-envdir and the readers of gate directories skip.
 */
export function writeFileAtomically(path: string, content: string | Uint8Array, mode: number, owner?: FileOwner): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`)
  try {
    const descriptor = openSync(temporary, 'wx', 0o600)
    try {
      writeFileSync(descriptor, content)
      if (owner !== undefined) fchownSync(descriptor, owner.uid, owner.gid)
      fchmodSync(descriptor, mode)
    } finally {
      closeSync(descriptor)
    }
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}
