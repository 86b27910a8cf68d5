import type { PrintedLine } from './join-lines.ts'
import { kindOfLine, type LineKind } from './line-kind.ts'

/** One message of a program: a line, or the lines of a traceback. */
export interface LogEntry {
  readonly timeMs: number | null
  /** What was printed, characters being bytes. */
  readonly text: string
  readonly cutBytes: number
  /** It is a traceback or a stack, which tells of an error whatever else it says. */
  readonly isTrace: boolean
}

const HEAD_BYTES = 96 * 1024
const TAIL_BYTES = 32 * 1024

type State =
  | 'line'
  /** In the frames of a traceback, before the line that names the exception. */
  | 'frames'
  | 'exception'
  /** After the words that announce a further traceback. */
  | 'chained'
  | 'indented-traceback'
  | 'stack'

interface OpenEntry {
  readonly timeMs: number | null
  readonly head: string[]
  readonly tail: string[]
  headBytes: number
  tailBytes: number
  cutBytes: number
  /** Blank lines that belong to it if more of it follows. */
  blanks: number
  state: State
  lastKind: LineKind
}

export interface LineGrouper {
  /** The entries that `line` shows to be complete. */
  readonly push: (line: PrintedLine) => LogEntry | null
  readonly end: () => LogEntry | null
  readonly isEmpty: () => boolean
}

/**
 * Keeps together what a program printed as one: python tracebacks with all that they chain, stacks of node, what CUDA and
 * python's warnings add to their line. Blank lines between entries are dropped.
 */
export function createLineGrouper(): LineGrouper {
  let open: OpenEntry | null = null

  const push = (line: PrintedLine): LogEntry | null => {
    const kind = kindOfLine(line.text)
    if (kind === 'blank') {
      if (open !== null && keepsBlanks(open.state)) open.blanks += 1
      else if (open !== null) return end()
      return null
    }
    const next = open === null ? null : nextState(open, kind)
    if (open !== null && next !== null) {
      add(open, line, kind, next)
      return null
    }
    const complete = end()
    open = begin(line, kind)
    return complete
  }

  const end = (): LogEntry | null => {
    const complete = open === null ? null : finished(open)
    open = null
    return complete
  }

  return { push, end, isEmpty: () => open === null }
}

function keepsBlanks(state: State): boolean {
  return state === 'frames' || state === 'exception' || state === 'chained'
}

const FIRST_STATES: Partial<Record<LineKind, State>> = {
  traceback: 'frames',
  'indented-traceback': 'indented-traceback',
  stack: 'stack',
}

function begin({ timeMs, text, cutBytes }: PrintedLine, kind: LineKind): OpenEntry {
  return {
    timeMs,
    head: [text],
    tail: [],
    headBytes: text.length,
    tailBytes: 0,
    cutBytes,
    blanks: 0,
    state: FIRST_STATES[kind] ?? 'line',
    lastKind: kind,
  }
}

/** The state of an entry once a line of that kind is added; `null` where it is not part of it. */
function nextState({ state, lastKind, blanks, head }: OpenEntry, kind: LineKind): State | null {
  const isIndented = kind === 'indented' || kind === 'stack' || kind === 'indented-traceback'
  switch (state) {
    case 'line':
      if (lastKind === 'json') return null
      if (kind === 'stack') return 'stack'
      // Automatic1111 says what failed in a line of stars before it.
      if (kind === 'indented-traceback') return head[0]!.startsWith('*** ') ? kind : null
      if (kind === 'cuda-advice') return head[0]!.includes('CUDA') ? 'line' : null
      return kind === 'indented' && PYTHON_WARNING.test(head[0]!) && head.length === 1 ? 'line' : null
    case 'frames':
      if (isIndented || kind === 'traceback') return 'frames'
      if (kind === 'chain') return 'chained'
      return kind === 'plain' || kind === 'closing' ? 'exception' : null
    case 'exception':
      if (kind === 'chain') return 'chained'
      return kind === 'cuda-advice' || (isIndented && blanks === 0) ? 'exception' : null
    case 'chained':
      return kind === 'traceback' ? 'frames' : null
    case 'indented-traceback':
      return isIndented ? 'indented-traceback' : null
    case 'stack':
      return isIndented || (kind === 'closing' && lastKind === 'indented') ? 'stack' : null
  }
}

/** `/path/file.py:12: FutureWarning: …`, after which python prints the line of the program. */
const PYTHON_WARNING = /^\S+:\d+: \w*Warning: /

function add(entry: OpenEntry, { text, cutBytes }: PrintedLine, kind: LineKind, state: State): void {
  for (; entry.blanks > 0; entry.blanks -= 1) keep(entry, '')
  keep(entry, text)
  entry.cutBytes += cutBytes
  entry.lastKind = kind
  entry.state = state
}

/** Of a long entry the middle is left out: the exception stands at the end. */
function keep(entry: OpenEntry, text: string): void {
  if (entry.tail.length === 0 && entry.headBytes + text.length <= HEAD_BYTES) {
    entry.head.push(text)
    entry.headBytes += text.length + 1
    return
  }
  entry.tail.push(text)
  entry.tailBytes += text.length + 1
  while (entry.tailBytes > TAIL_BYTES && entry.tail.length > 1) {
    const bytes = entry.tail.shift()!.length + 1
    entry.tailBytes -= bytes
    entry.cutBytes += bytes
  }
}

function finished({ timeMs, head, tail, cutBytes, state }: OpenEntry): LogEntry {
  const text = head.length === 1 && tail.length === 0 ? head[0]! : [...head, ...tail].join('\n')
  return { timeMs, text, cutBytes, isTrace: state !== 'line' }
}
