import { readFileSync } from 'node:fs'
import type { FileOwner } from '../shared/atomic-file.ts'

/** The ids of a user of this system, by name or number; `null` for one that it does not have. */
export function findUser(user: string, passwd = readFileSync('/etc/passwd', 'utf8')): FileOwner | null {
  if (/^\d+$/.test(user)) return { uid: Number(user), gid: Number(user) }
  const fields = passwd
    .split('\n')
    .find((line) => line.startsWith(`${user}:`))
    ?.split(':')
  return fields === undefined ? null : { uid: Number(fields[2]), gid: Number(fields[3]) }
}

/** Only root gives files away; for everybody else all files are his own. */
export function isRoot(): boolean {
  return process.getuid?.() === 0
}
