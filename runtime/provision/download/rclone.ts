import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { accessSync, constants } from 'node:fs'
import { createInterface } from 'node:readline'
import { runCommand, trackChild } from '../framework/run-command.ts'
import { DownloadError } from './download-error.ts'
import type { SourceFacts } from './range-source.ts'

/** A remote as rclone has them in its configuration: `{ type: 's3', provider: 'AWS', ... }`. */
export type RcloneRemote = Readonly<Record<string, string>>

/**
 * rclone, which knows all buckets, their signatures and their regions. It looks a file up, and serves it on loopback, from
 * where it is fetched in parts and continued like any other file. It needs no right to list a bucket.
 */
export interface Rclone {
  readonly stat: (remote: string, path: string) => Promise<SourceFacts>
  /** Where a file is served; for those who show `authorization`. */
  readonly urlOf: (remote: string, path: string) => Promise<URL>
  readonly authorization: string
  readonly close: () => void
}

const COMMON = [
  '--use-json-log',
  '--retries',
  '1',
  '--low-level-retries',
  '3',
  '--contimeout',
  '20s',
  '--timeout',
  '30s',
]

/** Prepares it; nothing runs before something is asked. `remotes` are known to it by their names. */
export function createRclone(remotes: Readonly<Record<string, RcloneRemote>>, environment: NodeJS.ProcessEnv): Rclone {
  const user = 'machine'
  const password = randomBytes(24).toString('base64url')
  const env = { ...environment, ...settingsOf(remotes), RCLONE_RC_USER: user, RCLONE_RC_PASS: password }
  let daemon: { readonly child: ChildProcess; readonly base: Promise<string> } | null = null
  return {
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
    stat: (remote, path) => stat(`${remote}:${path}`, env),
    urlOf: async (remote, path) => {
      daemon ??= startDaemon(env)
      const [bucket = '', ...parts] = path.split('/')
      const file = parts.map(encodeURIComponent).join('/')
      return new URL(`${await daemon.base}/%5B${remote}:${encodeURIComponent(bucket)}%5D/${file}`)
    },
    close: () => {
      daemon?.child.kill('SIGKILL')
      daemon = null
    },
  }
}

/** Remotes stand in variables (rclone, docs: "Config file"), never in a file or on a command line. */
function settingsOf(remotes: Readonly<Record<string, RcloneRemote>>): Record<string, string> {
  const settings = Object.entries(remotes).flatMap(([remote, options]) =>
    Object.entries(options).map(([name, value]) => [`RCLONE_CONFIG_${remote}_${name}`.toUpperCase(), value]),
  )
  return { RCLONE_CONFIG: '/dev/null', ...Object.fromEntries(settings) }
}

async function stat(location: string, env: NodeJS.ProcessEnv): Promise<SourceFacts> {
  let said = ''
  const command = [requireProgram('rclone', env), 'lsjson', '--stat', '--no-mimetype', ...COMMON, location]
  const { code, problem, lastLines } = await runCommand(command, {
    env,
    onLine: (line, stream) => {
      if (stream === 'stdout') said += line
    },
  })
  if (code !== 0) throw complaint(code, problem, lastLines)
  return factsOf(said, location)
}

/** A program by its whole path; a message that says what to install where there is none. */
function requireProgram(name: string, env: NodeJS.ProcessEnv): string {
  const path = findProgram(name, env)
  if (path !== null) return path
  throw new DownloadError('refused', `${name} is not installed (package "${name}")`)
}

function findProgram(name: string, { PATH = '' }: NodeJS.ProcessEnv): string | null {
  const paths = PATH.split(':').map((directory) => `${directory}/${name}`)
  return paths.find(isExecutable) ?? null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const START_MS = 15_000

/** `rclone rcd --rc-serve` with a password of its own, which ends with this process. */
function startDaemon(env: NodeJS.ProcessEnv): { readonly child: ChildProcess; readonly base: Promise<string> } {
  const setpriv = findProgram('setpriv', env)
  const wrapper = setpriv === null ? [] : [setpriv, '--pdeathsig', 'KILL']
  const [program = '', ...args] = [...wrapper, requireProgram('rclone', env), 'rcd', '--rc-serve']
  const child = spawn(program, [...args, '--rc-addr', '127.0.0.1:0', '--buffer-size', '4M', ...COMMON], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  trackChild(child)
  return { child, base: whereItServes(child) }
}

function whereItServes(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new DownloadError('transient', `rclone ${why}`))
    const timer = setTimeout(() => fail('did not start in time'), START_MS)
    child.on('error', ({ message }) => fail(message))
    child.on('close', () => fail('ended as soon as it was started'))
    createInterface({ input: child.stderr! }).on('line', (line) => {
      const base = /Serving remote control on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1]
      if (base === undefined) return
      clearTimeout(timer)
      resolve(base)
    })
  })
}

/** Exit codes of rclone (docs: "Exit code"): 3 and 4 are "not found", 6 and 7 are final. */
function complaint(code: number | null, problem: string | null, lines: readonly string[]): DownloadError {
  const said = problem ?? lines.flatMap((line) => messageOf(line) ?? []).at(-1) ?? 'it does not say why'
  if (code === 3 || code === 4) return new DownloadError('refused', 'there is no such file', null, 404)
  const isClosed = /\b40[13]\b|AccessDenied|Forbidden|InvalidAccessKeyId|SignatureDoesNotMatch|AuthenticationFailed/i
  const status = isClosed.test(said) ? 403 : null
  return new DownloadError(
    code === 6 || code === 7 || status !== null ? 'refused' : 'transient',
    `rclone: ${said}`,
    null,
    status,
  )
}

function messageOf(line: string): string | null {
  try {
    const { level, msg } = JSON.parse(line) as { level?: string; msg?: string }
    return level === 'error' || level === 'critical' || level === 'fatal' ? (msg ?? null) : null
  } catch {
    // The last word of a program that gives up is no JSON: a time, and why.
    return line.replace(/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d /, '').trim() || null
  }
}

function factsOf(text: string, location: string): SourceFacts {
  let item: { Size?: unknown; ModTime?: unknown; IsDir?: unknown } | null
  try {
    item = JSON.parse(text) as typeof item
  } catch {
    throw new DownloadError('transient', 'rclone says nothing of the file')
  }
  if (item === null || item.IsDir === true) throw new DownloadError('refused', 'there is no such file', null, 404)
  const sizeBytes = typeof item.Size === 'number' && item.Size >= 0 ? item.Size : null
  if (sizeBytes === 0) throw new DownloadError('refused', 'it is empty')
  return {
    sizeBytes,
    ranges: sizeBytes !== null,
    validator: typeof item.ModTime === 'string' ? item.ModTime : null,
    fileName: location.slice(location.lastIndexOf('/') + 1),
    sha256: null,
    revision: null,
    latencyMs: null,
  }
}
