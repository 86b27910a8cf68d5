import type { Diagnostic } from './diagnostic.ts'
import { formatPretty } from './format-pretty.ts'
import { sortDiagnostics } from './sort.ts'
import { showable } from './terminal-text.ts'

export type DiagnosticFormat = 'pretty' | 'json' | 'github'

export interface FormatOptions {
  readonly format: DiagnosticFormat
  /** Only `pretty` has colour. */
  readonly color: boolean
}

/**
 * The findings as text, sorted, with a final newline; empty if there are none, except as JSON, which is always one
 * document `{diagnostics, errors, warnings}`. `texts` has the inputs by their file names, for excerpts. No control
 * character of an input or a message comes out as it is.
 */
export function formatDiagnostics(
  diagnostics: readonly Diagnostic[],
  texts: ReadonlyMap<string, string>,
  { format, color }: FormatOptions,
): string {
  const sorted = sortDiagnostics(diagnostics, texts)
  if (format === 'json') return formatJson(sorted)
  if (format === 'github') return sorted.map((diagnostic) => `${githubCommand(diagnostic)}\n`).join('')
  return formatPretty(sorted, texts, color)
}

function formatJson(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error').length
  const text = JSON.stringify({ diagnostics, errors, warnings: diagnostics.length - errors }, null, 2)
  // JSON leaves these as they are; written out they are the same string to a parser and harmless to a terminal.
  const written = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  return `${text.replace(/[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g, written)}\n`
}

/**
 * A workflow command that makes GitHub annotate the line.
 * https://docs.github.com/actions/reference/workflow-commands-for-github-actions
 */
function githubCommand(diagnostic: Diagnostic): string {
  const { severity, code, file, range, message, hint, related = [] } = diagnostic
  const properties = {
    file,
    line: range.start.line,
    col: range.start.column,
    endLine: range.end.line,
    endColumn: range.end.column,
    title: code,
  }
  const list = Object.entries(properties).map(([name, value]) => `${name}=${escapeProperty(String(value))}`)
  const notes = related.map(
    (place) => `${place.file}:${place.range.start.line}:${place.range.start.column}: ${place.message}`,
  )
  const lines = [message, ...notes, ...(hint === undefined ? [] : [`hint: ${hint}`])]
  return `::${severity} ${list.join(',')}::${lines.map(escapeData).join('%0A')}`
}

/** Line ends are written out already, as the other control characters are. */
function escapeData(text: string): string {
  return showable(text).replaceAll('%', '%25')
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}
