import { readFileSync } from 'node:fs'
import type { FileOwner } from '../shared/atomic-file.ts'

/** Files with the accounts of this system; tests bring their own. */
export interface AccountFiles {
  readonly passwd: string
  readonly group: string
}

export const SYSTEM_ACCOUNTS: AccountFiles = { passwd: '/etc/passwd', group: '/etc/group' }

/** The ids of a user, by name or number; `null` for one that this system does not have. */
export function findUser(user: string, files = SYSTEM_ACCOUNTS): FileOwner | null {
  if (/^\d+$/.test(user)) return { uid: Number(user), gid: Number(user) }
  const fields = findEntry(files.passwd, user)
  return fields === null ? null : { uid: Number(fields[2]), gid: Number(fields[3]) }
}

/** The id of a group by its name; `null` for one that this system does not have. */
export function findGroup(group: string, files = SYSTEM_ACCOUNTS): number | null {
  const fields = findEntry(files.group, group)
  return fields === null ? null : Number(fields[2])
}

function findEntry(file: string, name: string): readonly string[] | null {
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((candidate) => candidate.startsWith(`${name}:`))
  return line === undefined ? null : line.split(':')
}

/** Only root gives files away; for everybody else all files are his own. */
export function isRoot(): boolean {
  return process.getuid?.() === 0
}
