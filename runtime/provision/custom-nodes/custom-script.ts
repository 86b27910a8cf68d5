import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { runCommand } from '../framework/run-command.ts'
import type { Installer } from './install-requirements.ts'

const TIMEOUT_MS = 30 * 60_000

/** Its standard input is a socket, as under sshd: without this it would read the start-up files of a login. */
const BASH = ['bash', '--norc', '--noprofile']

/** What a run of the script depends on: what it is, the commit it runs in, and the packages that it may change. */
export function scriptKey(script: string, commit: string, { interpreter }: Installer): string {
  return createHash('sha256')
    .update(JSON.stringify([script, commit, interpreter.identity]))
    .digest('hex')
}

/**
 * Runs the script of a node in its directory: commands for bash, or a file of the node, as the original machines did. Its
 * variables are those of the node's `.env`; the machine's own secrets are not among them. Gives what is wrong, or `null`.
 */
export async function runCustomScript(
  script: string,
  directory: string,
  variables: Readonly<Record<string, string>>,
  { environment }: Installer,
  hear: (line: string) => void,
  timeoutMs = TIMEOUT_MS,
): Promise<string | null> {
  const isFile = /^[\w./-]+$/.test(script) && !script.includes('..') && existsSync(`${directory}/${script}`)
  const command = isFile ? [...BASH, '--', script] : [...BASH, '-c', script]
  const env = { ...environment, ...variables, PATH: environment.PATH ?? '' }
  const result = await runCommand(command, { cwd: directory, env, timeoutMs, onLine: hear })
  if (result.code === 0) return null
  const last = result.lastLines.findLast((line) => line.trim() !== '')
  const how = result.problem ?? `it ends with ${result.code}`
  return `cannot run its custom_script: ${how}${last === undefined ? '' : `: ${last}`}`
}
