import { kindOfLine, PIECE_BYTES } from './line-kind.ts'
import { readStamp } from './stamp.ts'

/** A line as it was printed, characters being bytes. */
export interface PrintedLine {
  /** When the logger took it; `null` where it does not say. */
  readonly timeMs: number | null
  readonly text: string
  /** Bytes at its end that were left out. */
  readonly cutBytes: number
}

/** What is kept of a line, however long it was. */
export const MAX_LINE_BYTES = 128 * 1024

export interface LineJoiner {
  /** The lines that `text` completes. */
  readonly push: (text: string) => PrintedLine[]
  /** What is not completed yet. */
  readonly end: () => PrintedLine[]
  /** Takes it that a line cut in pieces has no more of them; half a piece still waits for its rest. */
  readonly settle: () => PrintedLine[]
  readonly isEmpty: () => boolean
  /** Bytes of the text that are in no completed line yet. */
  readonly unusedBytes: () => number
}

/** Makes lines of text that comes in any portions: takes stamps off, and joins what s6-log cut in pieces. */
export function createLineJoiner(): LineJoiner {
  let rest = ''
  let restCutBytes = 0
  let open: PrintedLine | null = null
  let unusedBytes = 0

  const take = (line: string, cutBytes: number): PrintedLine | null => {
    // Blocks that a crash of the machine left unwritten read as zeros.
    const printed = line.charCodeAt(0) === 0 ? line.replace(/^\0+/, '') : line
    const stamp = readStamp(printed)
    const text = stamp === null ? printed : printed.slice(stamp.length)
    open = open === null ? limited(stamp?.timeMs ?? null, text, cutBytes) : extended(open, text, cutBytes)
    if (text.length === PIECE_BYTES && !isWholeJson(open.text)) return null
    const whole = open
    open = null
    return whole
  }

  const push = (text: string): PrintedLine[] => {
    const lines: PrintedLine[] = []
    unusedBytes += text.length
    let from = 0
    for (let to = text.indexOf('\n'); to !== -1; to = text.indexOf('\n', from)) {
      const line = take(rest === '' ? text.slice(from, to) : rest + text.slice(from, to), restCutBytes)
      from = to + 1
      if (line !== null) {
        lines.push(line)
        unusedBytes = text.length - from
      }
      rest = ''
      restCutBytes = 0
    }
    rest += text.slice(from)
    if (rest.length > 2 * MAX_LINE_BYTES) {
      restCutBytes += rest.length - MAX_LINE_BYTES
      rest = rest.slice(0, MAX_LINE_BYTES)
    }
    return lines
  }

  const end = (): PrintedLine[] => {
    const line = rest === '' ? null : take(rest, restCutBytes)
    const left = line ?? open
    rest = ''
    restCutBytes = 0
    open = null
    return left === null ? [] : [left]
  }

  const settle = (): PrintedLine[] => {
    const left = open
    open = null
    return left === null ? [] : [left]
  }

  return { push, end, settle, isEmpty: () => rest === '' && open === null, unusedBytes: () => unusedBytes }
}

/** A line may be as long as a piece by chance. */
function isWholeJson(text: string): boolean {
  if (text.length !== PIECE_BYTES || kindOfLine(text) !== 'json') return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function limited(timeMs: number | null, text: string, cutBytes: number): PrintedLine {
  if (text.length <= MAX_LINE_BYTES) return { timeMs, text, cutBytes }
  return { timeMs, text: text.slice(0, MAX_LINE_BYTES), cutBytes: cutBytes + text.length - MAX_LINE_BYTES }
}

function extended(line: PrintedLine, text: string, cutBytes: number): PrintedLine {
  if (line.cutBytes > 0) return { ...line, cutBytes: line.cutBytes + text.length + cutBytes }
  return limited(line.timeMs, lastState(line.text + text), cutBytes)
}

/** A progress bar repaints its line; the states before the last are of no use. */
function lastState(text: string): string {
  return text.slice(text.lastIndexOf('\r', text.length - 2) + 1)
}
