import type { DiagnosticCode } from './codes.ts'

export type Severity = 'error' | 'warning'

/** A place in a text. `line` and `column` count from 1, `offset` from 0; all three count UTF-16 units. */
export interface Position {
  readonly line: number
  readonly column: number
  readonly offset: number
}

/** Half open: `end` is the position after the last character. */
export interface Range {
  readonly start: Position
  readonly end: Position
}

/**
 * A range of one input text. `file` is the name the text was given under: a path, `--set services.nginx.port=81`
 * for an option, `$NUM_GPUS` for an environment variable.
 */
export interface Location {
  readonly file: string
  readonly range: Range
}

export interface RelatedLocation extends Location {
  readonly message: string
}

/** One finding about the input. Collected, never thrown; sorted by position before it is shown. */
export interface Diagnostic {
  readonly code: DiagnosticCode
  readonly severity: Severity
  /** `cannot <do> <what>: <why>`, names and values quoted, no final stop. */
  readonly message: string
  readonly file: string
  readonly range: Range
  readonly hint?: string
  readonly related?: readonly RelatedLocation[]
}

/** The start of a text, for findings about an input as a whole. */
export const TEXT_START: Range = {
  start: { line: 1, column: 1, offset: 0 },
  end: { line: 1, column: 1, offset: 0 },
}
