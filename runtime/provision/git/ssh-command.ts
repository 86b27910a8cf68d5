import { mkdirSync } from 'node:fs'
import type { MachinePaths, PlannedGit } from '../../../schema/plan.ts'
import { writeFileAtomically } from '../../shared/atomic-file.ts'

/**
 * What git runs for ssh: never a question, and the machine's own key where it has one. Keys are files of mode 0600 in the
 * volatile state. Gives what is wrong with the key, too: repositories that need none still work.
 */
export function sshCommand(
  { knownHosts }: Pick<PlannedGit, 'knownHosts'>,
  key: string | null,
  paths: Pick<MachinePaths, 'run' | 'state'>,
): { readonly command: string; readonly problem: string | null } {
  const directory = `${paths.run}/git`
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const options = ['-o BatchMode=yes', '-o ConnectTimeout=20', '-o ServerAliveInterval=15', ...hosts()]
  const text = key === null ? null : privateKey(key)
  if (text === null) {
    const problem = key === null ? null : 'cannot use git.sshKey: it is no private key, in base64 or not'
    return { command: ['ssh', ...options].join(' '), problem }
  }
  const file = `${directory}/ssh-key`
  writeFileAtomically(file, text, 0o600)
  return { command: ['ssh', `-i ${quoted(file)}`, '-o IdentitiesOnly=yes', ...options].join(' '), problem: null }

  function hosts(): string[] {
    const file = knownHosts.length > 0 ? `${directory}/known_hosts` : `${paths.state}/known_hosts`
    if (knownHosts.length > 0) writeFileAtomically(file, `${knownHosts.join('\n')}\n`, 0o644)
    else mkdirSync(paths.state, { recursive: true })
    // ssh reads the value as a line of its configuration, after the shell of git has read it.
    return [
      `-o StrictHostKeyChecking=${knownHosts.length > 0 ? 'yes' : 'accept-new'}`,
      `-o ${quoted(`UserKnownHostsFile="${file}"`)}`,
    ]
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** The text of a key that may be given in base64, with the newline at its end that ssh wants. */
export function privateKey(text: string): string | null {
  const isClear = text.includes('-----BEGIN ')
  const clear = isClear ? text : Buffer.from(text.replace(/\s/g, ''), 'base64').toString('utf8')
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+-----END [A-Z ]*PRIVATE KEY-----/.test(clear)) return null
  return `${clear.replaceAll('\r', '').trim()}\n`
}
