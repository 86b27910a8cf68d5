import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import type { LogFilter, LogStore } from '../../runtime/shared/logs/log-store.ts'
import { openLogStore } from '../../runtime/shared/logs/open-log-store.ts'

/** A real s6-log that writes to `directory`, rotated at `bytes`. */
export interface LogWriter {
  /** Resolves when s6-log has taken the text from the pipe. */
  readonly write: (text: string) => Promise<void>
  /** Ends it as a stop does: what it has got is written first. */
  readonly end: () => Promise<void>
  readonly kill: () => Promise<void>
  readonly ended: Promise<void>
}

export interface WriterOptions {
  readonly bytes?: number
  readonly files?: number
  /** `t` TAI64N, `T` local time, empty for none. */
  readonly stamp?: 't' | 'T' | ''
}

export function startLogWriter(
  directory: string,
  { bytes = 4096, files = 1000, stamp = 't' }: WriterOptions = {},
): LogWriter {
  mkdirSync(directory, { recursive: true })
  const script = [`n${files}`, `s${bytes}`, ...(stamp === '' ? [] : [stamp]), directory]
  const child = spawn('s6-log', ['--', ...script], { stdio: ['pipe', 'inherit', 'inherit'] })
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  child.stdin!.on('error', () => {})
  return {
    write: (text) => writeTo(child, text),
    end: () => {
      child.stdin!.end()
      return ended
    },
    kill: () => {
      child.kill('SIGKILL')
      return ended
    },
    ended,
  }
}

/**
 * The one that follows a killed one, as a supervisor starts it: s6-log ends at once where it finds both a file that was
 * being rotated and a new one, after it has given the first its name.
 */
export async function restartLogWriter(directory: string, options: WriterOptions = {}): Promise<LogWriter> {
  for (;;) {
    const writer = startLogWriter(directory, options)
    const hasEnded = await Promise.race([
      writer.ended.then(() => true),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 150)),
    ])
    if (!hasEnded) return writer
  }
}

function writeTo(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve) => {
    child.stdin!.write(text, () => resolve())
  })
}

export const EVERYTHING: LogFilter = {
  services: [],
  gpu: null,
  level: null,
  sinceMs: null,
  grep: null,
  correlationId: null,
  lines: 10_000,
}

/** A store of one directory a service: `{ app: '/…/app' }`. */
export function storeOf(directories: Readonly<Record<string, string>>, timeLimitMs = 60_000): LogStore {
  const sources = Object.entries(directories).map(([service, directory]) => ({
    service,
    gpu: /gpu(\d+)$/.test(service) ? Number(/gpu(\d+)$/.exec(service)![1]) : null,
    directory,
    isAccessLog: false,
  }))
  return openLogStore({ sources, bundles: {}, timeLimitMs })
}

export async function messagesOf(store: LogStore, filter: Partial<LogFilter> = {}): Promise<string[]> {
  return (await store.query({ ...EVERYTHING, ...filter })).lines.map(({ message }) => message)
}
