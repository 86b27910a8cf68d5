/** A word of an execline script. */
export interface ExeclineWord {
  /** Quotes and escapes resolved, as far as a reader needs it: numeric escapes stay out. */
  readonly value: string
  readonly start: number
  readonly end: number
  /** Written without quotes and backslashes. */
  readonly bare: boolean
  /** How many blocks it is in; a brace that opens or closes one is no word. */
  readonly depth: number
}

export type ExeclineFault = 'unclosed quote' | 'unfinished escape' | 'bad escape' | 'unmatched {' | 'unmatched }'

export interface ExeclineScript {
  readonly words: readonly ExeclineWord[]
  /** The first thing that execlineb and s6-rc-compile refuse, and where. */
  readonly fault?: { readonly reason: ExeclineFault; readonly offset: number }
}

interface Lexer {
  readonly text: string
  at: number
  readonly words: ExeclineWord[]
  readonly openBraces: number[]
}

/** `0377`, without the backslash. */
const LONGEST_ESCAPE = 4

/** Internal to this file: leaves the lexer from any depth. */
class ExeclineError extends Error {
  constructor(
    readonly reason: ExeclineFault,
    readonly offset: number,
  ) {
    super(reason)
  }
}

/**
 * Splits an execline script (https://skarnet.org/software/execline/execlineb.html, "Syntax of scripts") as
 * execlineb does. Control characters and the space separate words, `#` at the start of a word begins a comment, only `"` quotes, a
 * brace that is a whole word opens or closes a block, and a NUL ends the script.
 */
export function parseExecline(text: string): ExeclineScript {
  const end = text.indexOf('\0')
  const lexer: Lexer = { text: end === -1 ? text : text.slice(0, end), at: 0, words: [], openBraces: [] }
  try {
    while (skipToWord(lexer)) readWord(lexer)
    const open = lexer.openBraces.pop()
    if (open !== undefined) throw new ExeclineError('unmatched {', open)
    return { words: lexer.words }
  } catch (error) {
    if (!(error instanceof ExeclineError)) throw error
    return { words: lexer.words, fault: { reason: error.reason, offset: error.offset } }
  }
}

const isSpace = (character: string | undefined) => character !== undefined && character <= ' '

/** Past blanks, comments and joined lines; false at the end of the script. */
function skipToWord(lexer: Lexer): boolean {
  for (; lexer.at < lexer.text.length; lexer.at += 1) {
    const character = lexer.text[lexer.at]
    if (character === '#') {
      const lineEnd = lexer.text.indexOf('\n', lexer.at)
      lexer.at = lineEnd === -1 ? lexer.text.length : lineEnd
    } else if (character === '\\' && lexer.text[lexer.at + 1] === '\n') {
      lexer.at += 1
    } else if (!isSpace(character)) {
      return true
    }
  }
  return false
}

function readWord(lexer: Lexer): void {
  const start = lexer.at
  const first = lexer.text[start]
  const next = lexer.text[start + 1]
  if (first === '{' && (next === undefined || isSpace(next))) {
    if (next === undefined) throw new ExeclineError('unmatched {', start)
    lexer.openBraces.push(start)
    lexer.at += 1
    return
  }
  if (first === '}' && (next === undefined || isSpace(next))) {
    if (lexer.openBraces.pop() === undefined) throw new ExeclineError('unmatched }', start)
    lexer.at += 1
    return
  }
  const { value, bare } = readWordText(lexer)
  if (lexer.at > start) lexer.words.push({ value, start, end: lexer.at, bare, depth: lexer.openBraces.length })
}

function readWordText(lexer: Lexer): { value: string; bare: boolean } {
  const start = lexer.at
  let value = ''
  let bare = true
  for (let character = lexer.text[lexer.at]; character !== undefined && !isSpace(character); ) {
    if (character === '"') {
      value += readQuoted(lexer)
      bare = false
    } else if (character === '\\') {
      const escaped = lexer.text[lexer.at + 1]
      const isFirst = lexer.at === start || (lexer.at === start + 1 && /[{}]/.test(lexer.text[start]!))
      if (escaped === undefined && !isFirst) throw new ExeclineError('unfinished escape', lexer.at)
      value += escaped ?? ''
      lexer.at += escaped === undefined ? 1 : 2
      bare = false
    } else {
      value += character
      lexer.at += 1
    }
    character = lexer.text[lexer.at]
  }
  return { value, bare }
}

/** From one `"` past the other. */
function readQuoted(lexer: Lexer): string {
  const start = lexer.at
  let value = ''
  for (lexer.at += 1; ; ) {
    const character = lexer.text[lexer.at]
    if (character === undefined) throw new ExeclineError('unclosed quote', start)
    lexer.at += 1
    if (character === '"') return value
    if (character !== '\\') {
      value += character
      continue
    }
    const rest = lexer.text.slice(lexer.at, lexer.at + LONGEST_ESCAPE)
    if (rest === '') throw new ExeclineError('unclosed quote', start)
    const numeric = numericEscape(rest, lexer.at - 1)
    lexer.at += numeric ?? 1
    if (numeric === undefined && !rest.startsWith('\n')) value += rest[0]
    // execlineb ends the word, quote or not, where the script ends in a number
    if (numeric !== undefined && lexer.at >= lexer.text.length) return value
  }
}

/** Length of `65`, `0101` or `0x41` (the character "A" three times), undefined for any other escape. */
function numericEscape(rest: string, offset: number): number | undefined {
  if (!/^[0-9]/.test(rest)) return undefined
  const [digits, base] = rest.startsWith('0x')
    ? [/^0x([0-9a-fA-F]{1,2})/.exec(rest), 16]
    : rest.startsWith('0')
      ? [/^0([0-7]{1,3})/.exec(rest), 8]
      : [/^([0-9]{1,3})/.exec(rest), 10]
  const value = digits === null ? 0 : Number.parseInt(digits[1]!, base)
  if (digits === null || value < 1 || value > 255) throw new ExeclineError('bad escape', offset)
  return digits[0].length
}
