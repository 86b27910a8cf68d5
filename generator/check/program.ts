import { type ExeclineScript, parseExecline } from './execline.ts'
import { type FileEntry, textOf } from './source-tree.ts'

export type Language = 'execline' | 'shell' | 'other' | 'binary'

export interface ProgramWord {
  /** Without its quotes. */
  readonly value: string
  readonly start: number
  readonly end: number
  /** Written without quotes and escapes. */
  readonly bare: boolean
  /** Begins a command: of a shell script any, of execline the script or a block. */
  readonly first: boolean
}

export interface Shebang {
  /** The path after `#!`. */
  readonly interpreter: string
  /** What follows it, which Linux hands over as one argument. */
  readonly argument: string
  /** The line's length. */
  readonly end: number
}

/** A script as far as static rules look into it. */
export interface Program {
  readonly text: string
  readonly language: Language
  readonly shebang: Shebang | undefined
  /** Empty for other languages and binaries. */
  readonly words: readonly ProgramWord[]
  /** For execline only. */
  readonly execline: ExeclineScript | undefined
  /** Index of the first word that runs the program of this name, under whatever path. */
  readonly calls: (name: string) => number | undefined
}

const SHELLS = new Set(['sh', 'bash', 'dash', 'ash', 'ksh', 'mksh', 'zsh', 'busybox'])
const ELF_MAGIC = '\u007fELF'
/** A word after one of these is an argument of it: a user, a group, a text. */
const TAKES_WORD = new Set(['s6-setuidgid', 's6-applyuidgid', 's6-envuidgid', 'su-exec', 'gosu', 'chown', 'id', 'su'])
const TAKES_ALL = new Set(['echo', 'printf', 'chown', 'chmod', 'mkdir', 'export', 'test', '[', 'logger', 'rm', 'touch'])

export const baseName = (path: string) => path.slice(path.lastIndexOf('/') + 1)

/** Reads a `run`, a `finish` or a oneshot's command line (which is execline without a shebang). */
export function programOf(file: FileEntry): Program {
  const text = textOf(file)
  const isCommandLine = ['up', 'down', 'reload'].includes(baseName(file.path))
  const shebang = isCommandLine ? undefined : readShebang(text)
  const language = isCommandLine ? 'execline' : text.startsWith(ELF_MAGIC) ? 'binary' : languageOf(shebang)
  const execline = language === 'execline' ? parseExecline(text) : undefined
  const words = execline !== undefined ? execlineWords(execline) : language === 'shell' ? shellWords(text) : []
  return { text, language, shebang, words, execline, calls: (name) => callOf(words, name) }
}

/** `#!` and what follows, a BOM before it overlooked. */
export function readShebang(text: string): Shebang | undefined {
  const match = /^\uFEFF?#![ \t]*([^\s]*)[ \t]*([^\n]*)/.exec(text)
  if (match === null) return undefined
  return { interpreter: match[1]!, argument: match[2]!.trim(), end: match[0].trimEnd().length }
}

function languageOf(shebang: Shebang | undefined): Language {
  const words = shebang === undefined ? [] : [shebang.interpreter, ...shebang.argument.split(/\s+/)]
  for (const word of words.map(baseName)) {
    if (word === 'execlineb') return 'execline'
    if (SHELLS.has(word)) return 'shell'
    if (word !== 'env' && word !== 'with-contenv' && !word.startsWith('-')) return 'other'
  }
  return words.some((word) => baseName(word) === 'with-contenv') ? 'execline' : 'other'
}

function execlineWords(script: ExeclineScript): ProgramWord[] {
  let depth = -1
  return script.words.map((word) => {
    const first = word.depth > depth
    depth = word.depth
    return { value: word.value, start: word.start, end: word.end, bare: word.bare, first }
  })
}

/** The words of a shell script, near enough to find commands: no expansion, here-documents read as commands. */
export function shellWords(text: string): ProgramWord[] {
  const words: ProgramWord[] = []
  let first = true
  const token =
    /(\\\n|[ \t\r]+)|(\n|[;&|()`]+)|(#[^\n]*)|((?:"(?:\\[\s\S]|[^"\\])*"?|'[^']*'?|\\[\s\S]|[^\s;&|()`"'\\])+)|./g
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    if (match[2] !== undefined) first = true
    const raw = match[4]
    if (raw === undefined) continue
    const bare = !/["'\\]/.test(raw)
    const value = raw.replace(/\\([\s\S])|["']/g, '$1')
    words.push({ value, start: match.index, end: match.index + raw.length, bare, first })
    first = first && (/^[A-Za-z_]\w*=/.test(value) || /^(?:exec|then|do|else|if|while|until|!|\{|command)$/.test(value))
  }
  return words
}

/** The name alone, or in a directory of programs: `/var/log/cron` is not cron. */
function isProgram(word: string, name: string): boolean {
  return word === name || (word.endsWith(`/${name}`) && /(?:^|\/)(?:s?bin|command|libexec)\/[^/]*$/.test(word))
}

function callOf(words: readonly ProgramWord[], name: string): number | undefined {
  let command = ''
  for (const [index, word] of words.entries()) {
    if (word.first) command = baseName(word.value)
    if (!isProgram(word.value, name) || (TAKES_ALL.has(command) && !word.first)) continue
    const before = words[index - 1]?.value ?? ''
    const isArgument = !word.first && (TAKES_WORD.has(baseName(before)) || /^-[ugU]$/.test(before))
    if (!isArgument) return index
  }
  return undefined
}
