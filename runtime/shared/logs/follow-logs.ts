import { createEntryReader, type EntryReader } from './entry-reader.ts'
import { SLEEP_MS } from './follow-directory.ts'
import type { LogEntry } from './group-lines.ts'
import type { LogFilter, LogLine, LogPage } from './log-store.ts'
import type { LogTail } from './log-tail.ts'
import { createLineMatcher, type LineMatcher } from './match-lines.ts'
import { type LogSource, recognise, toLogLine } from './recognise.ts'
import type { Redactor } from './redact.ts'
import { redactLine } from './redact-line.ts'
import { createWake, type Wake } from './wake.ts'

/** A source that is read from the place on where the page of its last lines ended. */
export interface TailedSource {
  readonly source: LogSource
  readonly tail: LogTail
}

export interface FollowOptions {
  readonly filter: LogFilter
  readonly redactor: Redactor
  readonly signal: AbortSignal
  /** Opens the tails and reads the page before them, as of one moment. */
  readonly open: () => Promise<{ readonly page: LogPage; readonly sources: readonly TailedSource[] }>
}

/** A program prints a traceback in one go; what comes later is another message. */
const SETTLE_MS = 250
/** Read of one source before it is the turn of the others. */
const TURN_BYTES = 256 * 1024

interface Follower {
  readonly source: LogSource
  readonly tail: LogTail
  readonly reader: EntryReader
  heardMs: number
}

/** The lines of the page, then each new one. Everything is closed when it ends, is left, or the signal comes. */
export async function* followLogs(options: FollowOptions): AsyncGenerator<LogLine, void, undefined> {
  const { filter, redactor, signal } = options
  if (signal.aborted) return
  const { page, sources } = await options.open()
  const followers = sources.map(({ source, tail }) => ({ source, tail, reader: createEntryReader(), heardMs: 0 }))
  const wake = createWake(sources.map(({ source }) => source.directory))
  const close = () => {
    wake.close()
    for (const { tail } of followers) tail.close()
  }
  signal.addEventListener('abort', close, { once: true })
  const matcher = createLineMatcher(filter)
  try {
    yield* page.lines
    while (!signal.aborted) {
      for (const line of await takeTurn(followers, matcher, redactor)) {
        if (signal.aborted) return
        yield line
      }
      await sleep(followers, wake)
    }
  } finally {
    signal.removeEventListener('abort', close)
    close()
  }
}

async function sleep(followers: readonly Follower[], wake: Wake): Promise<void> {
  const isOpen = followers.some(({ reader }) => !reader.isEmpty())
  await wake.wait(isOpen ? SETTLE_MS : SLEEP_MS)
}

/** What is new in all sources, by time. */
async function takeTurn(followers: readonly Follower[], matcher: LineMatcher, redactor: Redactor): Promise<LogLine[]> {
  const nowMs = Date.now()
  const timed: { readonly timeMs: number; readonly line: LogLine }[] = []
  for (const follower of followers) {
    const { source } = follower
    let timeMs = 0
    for (const entry of await readTurn(follower)) {
      const line = recognise(entry, source)
      timeMs = Math.max(timeMs, line.timeMs ?? nowMs)
      if (matcher.select([{ entry, line }]).length === 0) continue
      const redacted = redactLine(line, redactor)
      if (redacted === line || matcher.matches(redacted)) timed.push({ timeMs, line: toLogLine(redacted, nowMs) })
    }
    if (follower.tail.hasLost()) timed.push({ timeMs, line: lostLine(source, nowMs) })
  }
  return timed.sort((a, b) => a.timeMs - b.timeMs).map(({ line }) => line)
}

async function readTurn(follower: Follower): Promise<LogEntry[]> {
  const { tail, reader } = follower
  const entries: LogEntry[] = []
  let bytes = 0
  while (bytes < TURN_BYTES) {
    const text = await tail.read()
    if (text === '') break
    bytes += text.length
    entries.push(...reader.push(text))
  }
  if (bytes > 0) follower.heardMs = performance.now()
  else if (performance.now() - follower.heardMs >= SETTLE_MS) entries.push(...reader.settle())
  return entries
}

function lostLine({ service, gpu }: LogSource, nowMs: number): LogLine {
  const message = 'lines are missing here: their file was removed before it was read'
  return toLogLine({ timeMs: nowMs, level: 'warn', service, gpu, message, context: null, correlationId: null }, nowMs)
}
