/** What a line is to the lines around it: on its own, or one of several that a program printed as one. */
export type LineKind =
  | 'blank'
  /** One JSON object. */
  | 'json'
  /** Begins with a time or a level, as loggers write it. */
  | 'marked'
  /** The first line of a python traceback. */
  | 'traceback'
  /** The first line of a traceback that is indented throughout: of an exception group, or as Automatic1111 reports it. */
  | 'indented-traceback'
  /** What python prints between the tracebacks of exceptions that caused each other. */
  | 'chain'
  /** What CUDA adds to its errors. */
  | 'cuda-advice'
  /** A line of a node stack. */
  | 'stack'
  | 'indented'
  /** Closes the properties that node prints after a stack. */
  | 'closing'
  | 'plain'

const MARKED =
  /^(?:\[?\d{4}[-/]\d\d[-/]\d\d[ T]|\[?(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL)\b[\]:| ]|[IWEF]\d{4} \d\d:|time=|\[GIN\] )/

const CUDA_ADVICE =
  /^(?:CUDA kernel errors might be asynchronously reported|For debugging consider passing CUDA_LAUNCH_BLOCKING|Compile with `TORCH_USE_CUDA_DSA`|Device-side assertion tracking was not enabled|Search for `cuda\w+' in https:)/

const CHAIN =
  /^(?:During handling of the above exception, another exception occurred:|The above exception was the direct cause of the following exception:)$/

const COLOUR = /\x1b\[[\d;]*m/g

export function kindOfLine(line: string): LineKind {
  const text = line.includes('\x1b') ? line.replace(COLOUR, '') : line
  const first = text.charCodeAt(0)
  if (first === SPACE || first === TAB) return kindOfIndented(text)
  if (first === OPENING_BRACE) return text.startsWith('{"') && /\}\s*$/.test(text.slice(-8)) ? 'json' : 'plain'
  if (first === CLOSING_BRACE) return text.trimEnd() === '}' ? 'closing' : 'plain'
  if (Number.isNaN(first) || first === CARRIAGE_RETURN) return text.trim() === '' ? 'blank' : 'plain'
  if (first === LETTER_T && text.startsWith('Traceback (most recent call last)')) return 'traceback'
  if (CHAIN.test(text)) return 'chain'
  if (CUDA_ADVICE.test(text)) return 'cuda-advice'
  return MARKED.test(text) ? 'marked' : 'plain'
}

const SPACE = 0x20
const TAB = 0x09
const CARRIAGE_RETURN = 0x0d
const OPENING_BRACE = 0x7b
const CLOSING_BRACE = 0x7d
const LETTER_T = 0x54

function kindOfIndented(text: string): LineKind {
  const content = text.trim()
  if (content === '') return 'blank'
  if (content.startsWith('at ')) return 'stack'
  return /^(?:\+ Exception Group )?Traceback \(most recent call last\)/.test(content)
    ? 'indented-traceback'
    : 'indented'
}

const ALONE: ReadonlySet<LineKind> = new Set(['json', 'marked', 'plain'])

/**
 * Whether an entry begins with `line`, whatever came before `previous`: there reading can begin in the middle of a log and
 * find the same entries. Lines are as they were printed, without stamps.
 */
export function isSureStart(previous: string, line: string): boolean {
  if (previous.length === PIECE_BYTES) return false
  const kind = kindOfLine(line)
  if (kind === 'json' || kind === 'marked') return true
  return (kind === 'plain' || kind === 'traceback') && ALONE.has(kindOfLine(previous))
}

/** s6-log cuts a longer line in pieces of so many bytes, each stamped like a line (`s6-log -l`). */
export const PIECE_BYTES = 8192
