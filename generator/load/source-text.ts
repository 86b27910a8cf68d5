import type { DiagnosticCode } from '../diagnostics/codes.ts'
import type { Diagnostic, Location, Position, Range } from '../diagnostics/diagnostic.ts'

/** Takes a finding; loading goes on after it. */
export type Report = (finding: Diagnostic) => void

/** What a text is to the machine: a layer of `-f`, an option of `--set`, or an environment variable. */
export type SourceRole =
  | { readonly kind: 'file'; readonly layer: number }
  | { readonly kind: 'set' }
  | { readonly kind: 'environment'; readonly variable: string; readonly location: Location }

/** One input text under the name that findings show. */
export interface SourceText {
  readonly file: string
  readonly text: string
  readonly role: SourceRole
  /** The position of an offset into `text`. The lines are found at the first call: a clean run of `--set` never asks. */
  readonly positionAt: (offset: number) => Position
}

/** A stretch of a source text, by offsets; half open. Turned into a range of lines only where somebody will see it. */
export interface Place {
  readonly source: SourceText
  readonly start: number
  readonly end: number
}

export function sourceText(file: string, text: string, role: SourceRole): SourceText {
  let starts: number[] | undefined
  // Values are asked for in reading order: mostly the line of the last answer is right, or the one after it.
  let line = 0
  const positionAt = (offset: number): Position => {
    starts ??= lineStarts(text)
    const begin = (index: number) => starts?.[index] ?? Number.POSITIVE_INFINITY
    if (begin(line) <= offset && begin(line + 1) <= offset && offset < begin(line + 2)) line += 1
    else if (offset < begin(line) || begin(line + 1) <= offset) line = lastNotAbove(starts, offset)
    return { line: line + 1, column: offset - (starts[line] ?? 0) + 1, offset }
  }
  return { file, text, role, positionAt }
}

function lineStarts(text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}

function lastNotAbove(sorted: readonly number[], value: number): number {
  let low = 0
  let high = sorted.length
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? 0) <= value) low = middle
    else high = middle
  }
  return low
}

export function rangeOf({ source, start, end }: Place): Range {
  return { start: source.positionAt(start), end: source.positionAt(Math.max(start, end)) }
}

export function locationOf(place: Place): Location {
  return { file: place.source.file, range: rangeOf(place) }
}

/** An error at a place. */
export function errorAt(place: Place, code: DiagnosticCode, message: string, hint?: string): Diagnostic {
  const finding = { code, severity: 'error' as const, message, ...locationOf(place) }
  return hint === undefined ? finding : { ...finding, hint }
}
