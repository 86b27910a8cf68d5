import { lchownSync, readdirSync } from 'node:fs'
import type { FileOwner } from '../../shared/atomic-file.ts'

/** Gives a directory and all in it to a user; links are not followed. */
export function giveTree(path: string, owner: FileOwner): void {
  lchownSync(path, owner.uid, owner.gid)
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = `${path}/${entry.name}`
    if (entry.isDirectory()) giveTree(child, owner)
    else lchownSync(child, owner.uid, owner.gid)
  }
}
