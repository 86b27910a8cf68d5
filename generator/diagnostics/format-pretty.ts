import type { Diagnostic, Location } from './diagnostic.ts'
import { excerptOf, type Hidden } from './excerpt.ts'
import { showable } from './terminal-text.ts'

type Paint = (text: string) => string

interface Palette {
  readonly error: Paint
  readonly warning: Paint
  readonly note: Paint
  readonly bold: Paint
  readonly dim: Paint
}

interface Context {
  readonly texts: ReadonlyMap<string, string>
  readonly palette: Palette
  readonly hidden: ReadonlyMap<string, readonly Hidden[]>
}

/** For people: position, message, the source line with the place underlined, related places, a hint, a summary. */
export function formatPretty(
  diagnostics: readonly Diagnostic[],
  texts: ReadonlyMap<string, string>,
  color: boolean,
): string {
  if (diagnostics.length === 0) return ''
  const context = { texts, palette: paletteOf(color), hidden: hiddenParts(diagnostics) }
  const blocks = diagnostics.map((diagnostic) => formatOne(context, diagnostic))
  return `${[...blocks, summary(diagnostics)].join('\n\n')}\n`
}

/** `2 errors, 1 warning` */
export function summary(diagnostics: readonly Diagnostic[]): string {
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error').length
  const warnings = diagnostics.length - errors
  const count = (number: number, word: string) => `${number} ${word}${number === 1 ? '' : 's'}`
  return [errors > 0 ? [count(errors, 'error')] : [], warnings > 0 ? [count(warnings, 'warning')] : []]
    .flat()
    .join(', ')
}

function formatOne(context: Context, diagnostic: Diagnostic): string {
  const { palette } = context
  const paint = palette[diagnostic.severity]
  const label = `${paint(`${diagnostic.severity}[${diagnostic.code}]`)}: ${palette.bold(showable(diagnostic.message))}`
  const lines = [`${positionText(diagnostic)}: ${label}`, ...excerptLines(context, diagnostic, paint)]
  for (const related of diagnostic.related ?? []) {
    lines.push(`${positionText(related)}: ${palette.note('note')}: ${showable(related.message)}`)
    lines.push(...excerptLines(context, related, palette.note))
  }
  if (diagnostic.hint !== undefined) lines.push(`${palette.note('hint')}: ${showable(diagnostic.hint)}`)
  return lines.join('\n')
}

function positionText({ file, range }: Location): string {
  return `${showable(file)}:${range.start.line}:${range.start.column}`
}

function excerptLines({ texts, palette, hidden }: Context, { file, range }: Location, paint: Paint): string[] {
  const text = texts.get(file)
  const excerpt = text === undefined ? undefined : excerptOf(text, range, hidden.get(file))
  if (excerpt === undefined) return []
  const number = String(range.start.line).padStart(5)
  const underline = paint(`${' '.repeat(excerpt.indent)}${'^'.repeat(excerpt.length)}`)
  return [`${palette.dim(`${number} |`)} ${excerpt.line}`.trimEnd(), `${palette.dim('      |')} ${underline}`]
}

/** A literal secret must not be repeated in the log of a build, not even by a finding about its neighbour. */
function hiddenParts(diagnostics: readonly Diagnostic[]): Map<string, Hidden[]> {
  const hidden = new Map<string, Hidden[]>()
  for (const finding of diagnostics) {
    if (finding.code !== 'LITERAL_SECRET') continue
    // One finding names all secrets of the file: the others are its related places.
    for (const { file, range } of [finding, ...(finding.related ?? [])]) {
      const parts = hidden.get(file) ?? []
      parts.push({ start: range.start.offset, end: range.end.offset })
      hidden.set(file, parts)
    }
  }
  return hidden
}

function paletteOf(color: boolean): Palette {
  const sgr = (codes: string) => (text: string) => (color ? `\x1b[${codes}m${text}\x1b[0m` : text)
  return { error: sgr('1;31'), warning: sgr('1;33'), note: sgr('1;36'), bold: sgr('1'), dim: sgr('2') }
}
