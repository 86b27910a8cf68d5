import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { writeFileAtomically } from '../../shared/atomic-file.ts'
import { runCommand } from '../framework/run-command.ts'

const TIMEOUT_MS = 30_000

/**
 * Makes the host key where there is none, once for the life of the volume. Gives its fingerprint, and a warning where one
 * that was there could not be read and is kept beside the new one: its users will be told that the machine is another.
 */
export async function ensureHostKey(
  file: string,
  comment: string,
): Promise<{ readonly fingerprint: string; readonly warning: string | null }> {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  chmodSync(dirname(file), 0o700)
  let warning: string | null = null
  if (existsSync(file)) {
    chmodSync(file, 0o600)
    if (await publicKeyOf(file)) return { fingerprint: await fingerprintOf(file), warning }
    renameSync(file, `${file}.unreadable`)
    warning = `the host key "${file}" could not be read: it is kept as "${file}.unreadable", and there is a new one`
  }
  await makeKey(file, comment)
  return { fingerprint: await fingerprintOf(file), warning }
}

async function makeKey(file: string, comment: string): Promise<void> {
  const temporary = `${file}.new`
  for (const path of [temporary, `${temporary}.pub`]) rmSync(path, { force: true })
  await keygen('-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', temporary)
  const publicKey = readFileSync(`${temporary}.pub`, 'utf8')
  renameSync(temporary, file)
  writeFileAtomically(`${file}.pub`, publicKey, 0o644)
  rmSync(`${temporary}.pub`, { force: true })
}

/** Also writes the public part anew, where it is gone. */
async function publicKeyOf(file: string): Promise<boolean> {
  const { code, lastLines } = await runCommand(['ssh-keygen', '-y', '-P', '', '-f', file], { timeoutMs: TIMEOUT_MS })
  if (code === 0 && !existsSync(`${file}.pub`)) writeFileAtomically(`${file}.pub`, `${lastLines.join('\n')}\n`, 0o644)
  return code === 0
}

/** `SHA256:...`, as ssh shows it to somebody who connects for the first time. */
async function fingerprintOf(file: string): Promise<string> {
  const [line = ''] = await keygen('-l', '-f', `${file}.pub`)
  return line.split(' ')[1] ?? ''
}

async function keygen(...words: string[]): Promise<readonly string[]> {
  const { code, problem, lastLines } = await runCommand(['ssh-keygen', ...words], { timeoutMs: TIMEOUT_MS })
  if (code === 0) return lastLines
  throw new Error(`cannot make a host key: ${problem ?? lastLines.at(-1) ?? `ssh-keygen ended with ${code}`}`)
}
