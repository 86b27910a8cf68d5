/** ComfyUI's log: plain lines on stderr (stdout with --log-stdout), the last 300 kept for /internal/logs. */

export interface LogEntry {
  /** ISO time, as /internal/logs/raw gives it. */
  readonly t: string
  readonly m: string
}

export interface Log {
  /** Writes a message, which may have several lines. */
  write(message: string): void
  entries(): readonly LogEntry[]
}

/** As many as app/logger.py keeps. */
const CAPACITY = 300

export function openLog(stream: NodeJS.WritableStream): Log {
  const kept: LogEntry[] = []
  return {
    write(message) {
      kept.push({ t: new Date().toISOString().replace('Z', '000'), m: `${message}\n` })
      if (kept.length > CAPACITY) kept.shift()
      stream.write(`${message}\n`)
    },
    entries: () => kept,
  }
}
