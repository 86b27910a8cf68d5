import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { TakeBytes } from './connection.ts'
import { DownloadError } from './download-error.ts'
import type { RangeRequest, RangeSource, SourceFacts } from './range-source.ts'

export interface BucketSourceOptions {
  /** Settings of the remote, as rclone has them in its configuration: `{ type: 's3', provider: 'AWS', ... }`. */
  readonly remote: Readonly<Record<string, string>>
  /** `bucket/path/to/file`. */
  readonly path: string
  readonly environment: NodeJS.ProcessEnv
}

const REMOTE = 'MACHINE'

/**
 * A file in a bucket, through rclone: it knows all of them, their signatures and their regions. Each range is an
 * `rclone cat` of its own, so that a bucket is fetched in parts and continued like any other source.
 */
export function bucketSource(options: BucketSourceOptions): RangeSource {
  return {
    probe: async () => {
      const said = await runRclone(options, ['lsjson', '--stat', '--no-mimetype', locationOf(options)])
      return factsOf(said, options.path)
    },
    read: (range, take) => cat(options, range, take),
  }
}

const locationOf = ({ path }: BucketSourceOptions): string => `${REMOTE.toLowerCase()}:${path}`

/** The remote stands in variables (rclone, docs: "Config file"), never in a file or on a command line. */
function environmentOf({ remote, environment }: BucketSourceOptions): NodeJS.ProcessEnv {
  const settings = Object.entries(remote).map(([name, value]) => [
    `RCLONE_CONFIG_${REMOTE}_${name.toUpperCase()}`,
    value,
  ])
  return { ...environment, RCLONE_CONFIG: '/dev/null', ...Object.fromEntries(settings) }
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

function startRclone(options: BucketSourceOptions, args: readonly string[]) {
  return spawn('rclone', [...COMMON, ...args], { env: environmentOf(options), stdio: ['ignore', 'pipe', 'pipe'] })
}

async function runRclone(options: BucketSourceOptions, args: readonly string[]): Promise<string> {
  let said = ''
  await follow(startRclone(options, args), (stdout) => {
    stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  })
  return said
}

async function cat(options: BucketSourceOptions, range: RangeRequest, take: TakeBytes): Promise<void> {
  const { start, end, signal } = range
  const count = end === null ? [] : ['--count', String(end - start)]
  const child = startRclone(options, ['cat', '--offset', String(start), ...count, locationOf(options)])
  const abort = () => child.kill()
  signal.addEventListener('abort', abort)
  let hasEnough = false
  let failure: unknown = null
  const stop = () => {
    hasEnough = true
    child.kill()
  }
  try {
    await follow(child, (stdout) => {
      stdout.on('data', (bytes: Buffer) => {
        if (hasEnough) return
        try {
          const next = take(bytes)
          if (next === 'enough') stop()
          else if (next > 0) {
            stdout.pause()
            setTimeout(() => stdout.resume(), next)
          }
        } catch (error) {
          failure = error
          stop()
        }
      })
    })
  } catch (error) {
    if (!hasEnough && !signal.aborted) throw error
  } finally {
    signal.removeEventListener('abort', abort)
  }
  if (failure !== null) throw failure
}

/** Waits for the end of rclone and of its output; what it complained about is the error. */
function follow(child: ReturnType<typeof startRclone>, read: (stdout: Readable) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let complaints = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaints = (complaints + text).slice(-8192)
    })
    read(child.stdout)
    child.on('error', (error: NodeJS.ErrnoException) => {
      const isMissing = error.code === 'ENOENT'
      const why = isMissing ? 'rclone is not installed (package "rclone")' : error.message
      reject(new DownloadError('refused', why))
    })
    child.on('close', (code) => {
      if (code === 0) resolve()
      else reject(complaint(code, complaints))
    })
  })
}

/** Exit codes of rclone (docs: "Exit code"): 3 and 4 are "not found", 5 is temporary, 6 and 7 are not. */
function complaint(code: number | null, log: string): DownloadError {
  const messages = log.split('\n').flatMap((line) => messageOf(line) ?? [])
  const said = messages.at(-1) ?? 'it says nothing'
  if (code === 3 || code === 4) return new DownloadError('refused', `there is no such file: ${said}`, null, 404)
  const status = /\b(?:StatusCode|status code|HTTP)[: ]+(40[13])\b|AccessDenied|InvalidAccessKeyId/i.test(said)
    ? 403
    : null
  const isFinal = code === 6 || code === 7 || status !== null
  return new DownloadError(isFinal ? 'refused' : 'transient', `rclone: ${said}`, null, status)
}

function messageOf(line: string): string | null {
  if (line.trim() === '') return null
  try {
    const { level, msg } = JSON.parse(line) as { level?: string; msg?: string }
    return level === 'error' || level === 'critical' || level === 'fatal' ? (msg ?? null) : null
  } catch {
    return line.trim()
  }
}

function factsOf(text: string, path: string): SourceFacts {
  let item: { Size?: unknown; ModTime?: unknown; IsDir?: unknown }
  try {
    item = JSON.parse(text) as typeof item
  } catch {
    throw new DownloadError('transient', 'rclone says nothing of the file')
  }
  if (item.IsDir === true) throw new DownloadError('refused', 'it is a folder, not a file', null, 404)
  const sizeBytes = typeof item.Size === 'number' && item.Size >= 0 ? item.Size : null
  if (sizeBytes === 0) throw new DownloadError('refused', 'it is empty')
  return {
    sizeBytes,
    ranges: sizeBytes !== null,
    validator: typeof item.ModTime === 'string' ? item.ModTime : null,
    fileName: path.slice(path.lastIndexOf('/') + 1),
    sha256: null,
    revision: null,
  }
}
