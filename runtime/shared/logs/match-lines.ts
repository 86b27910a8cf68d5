import { createContext, Script } from 'node:vm'
import type { LogEntry } from './group-lines.ts'
import { PIECE_BYTES } from './line-kind.ts'
import { isAtLeast } from './log-level.ts'
import { type LogFilter, LogQueryError } from './log-store.ts'
import type { RecognisedLine } from './recognise.ts'

/** An entry with what it says. */
export interface ReadEntry {
  readonly line: RecognisedLine
  readonly entry: LogEntry
}

export interface LineMatcher {
  /** Whether any entry of a text can match: where not, nothing of it needs to be recognised. */
  readonly mayMatch: (text: string) => boolean
  /** Those that match in level, text, pattern and correlation id; times are not looked at. */
  readonly select: <T extends ReadEntry>(entries: readonly T[]) => T[]
  readonly matches: (line: RecognisedLine) => boolean
}

/** How long a pattern may take over one portion of a log. */
const PATTERN_LIMIT_MS = 100

export function createLineMatcher(filter: LogFilter): LineMatcher {
  const { level, correlationId, pattern } = filter
  const text = filter.grep?.toLowerCase() ?? null
  const needles = [text, correlationId?.toLowerCase() ?? null].filter((needle) => needle !== null && isVerbatim(needle))

  const hasText = ({ line, entry }: ReadEntry) =>
    text === null || line.message.toLowerCase().includes(text) || fieldsText(line, entry).toLowerCase().includes(text)
  const fits = (read: ReadEntry) =>
    (level === null || isAtLeast(read.line.level, level)) &&
    (correlationId === null || read.line.correlationId === correlationId) &&
    hasText(read)

  const select = <T extends ReadEntry>(entries: readonly T[]): T[] => {
    const fitting = entries.filter(fits)
    if (!pattern || fitting.length === 0) return fitting
    return withinLimit(() => fitting.filter(({ line }) => matchesPattern(pattern, line)))
  }
  return {
    mayMatch: (raw) => {
      if (needles.length === 0 || raw.includes(ESCAPE) || hasPieces(raw)) return true
      const lower = raw.toLowerCase()
      return needles.every((needle) => lower.includes(needle!))
    },
    select,
    matches: (line) => select([{ line, entry: NO_ENTRY }]).length > 0,
  }
}

const NO_ENTRY: LogEntry = { timeMs: null, text: '', cutBytes: 0, isTrace: false }

/** A colour in the middle of a word. */
const ESCAPE = '\x1b'

/** Whether a line may be cut in pieces, with a stamp in the middle of a word. */
function hasPieces(raw: string): boolean {
  for (let from = 0; from + PIECE_BYTES < raw.length; ) {
    const lineBreak = raw.lastIndexOf('\n', from + PIECE_BYTES - 1)
    if (lineBreak < from) return true
    from = lineBreak + 1
  }
  return false
}

/** Stands in a log as it stands in a message: no logger writes these characters in another way. */
function isVerbatim(needle: string): boolean {
  return /^[\w .:,=@#-]+$/.test(needle)
}

/** What a structured line says beside its message; a text line has only the message. */
function fieldsText({ context }: RecognisedLine, entry: LogEntry): string {
  return context === null ? '' : entry.text || JSON.stringify(context)
}

function matchesPattern(pattern: RegExp, { message, context }: RecognisedLine): boolean {
  return pattern.test(message) || (context !== null && pattern.test(JSON.stringify(context)))
}

const guard = { run: (): unknown => null, result: null as unknown }
let script: { readonly run: () => void } | null = null

/** Some patterns take exponential time; V8 can only be interrupted inside a script that has a time limit. */
function withinLimit<T>(work: () => T): T {
  script ??= prepareGuard()
  guard.run = work
  try {
    script.run()
    return guard.result as T
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
    throw new LogQueryError(`cannot search with this pattern: it takes too long (more than ${PATTERN_LIMIT_MS} ms)`)
  } finally {
    guard.run = () => null
    guard.result = null
  }
}

function prepareGuard(): { run: () => void } {
  const context = createContext({ guard })
  const compiled = new Script('guard.result = guard.run()')
  return { run: () => compiled.runInContext(context, { timeout: PATTERN_LIMIT_MS }) }
}
