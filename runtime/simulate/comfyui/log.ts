/** ComfyUI's log: plain lines on stderr (stdout with --log-stdout), the last 300 kept for /internal/logs. */

export interface LogEntry {
  /** ISO time, as /internal/logs/raw gives it. */
  readonly t: string
  readonly m: string
}

export interface Log {
  /** Writes a message, which may have several lines. */
  write(message: string): void
  /** Draws tqdm's progress bar over the one before, and ends the line when it is full. */
  progress(value: number, total: number): void
  entries(): readonly LogEntry[]
}

/** As many as app/logger.py keeps. */
const CAPACITY = 300

export function openLog(stream: NodeJS.WritableStream): Log {
  const kept: LogEntry[] = []
  const keep = (m: string) => {
    kept.push({ t: new Date().toISOString().replace('Z', '000'), m })
    if (kept.length > CAPACITY) kept.shift()
    stream.write(m)
  }
  return {
    write: (message) => keep(`${message}\n`),
    progress(value, total) {
      // As app/logger.py does it, so that bars do not push everything else out.
      if (kept.at(-1)?.m.startsWith('\r')) kept.pop()
      keep(`\r${drawBar(value, total)}`)
      if (value === total) keep('\n')
    },
    entries: () => kept,
  }
}

function drawBar(value: number, total: number): string {
  const share = value / total
  const bar = '#'.repeat(Math.round(share * 10)).padEnd(10)
  return `${String(Math.round(share * 100)).padStart(3)}%|${bar}| ${value}/${total} [00:00<00:00, 20.00it/s]`
}
