import type { DiagnosticCode } from '../diagnostics/codes.ts'
import {
  type Diagnostic,
  type Location,
  type Position,
  type RelatedLocation,
  TEXT_START,
} from '../diagnostics/diagnostic.ts'
import { type Entry, type FileEntry, textOf } from './source-tree.ts'

/** A finding, and whether s6-rc-compile stops at it: its verdict is compared with ours. */
export interface Finding {
  readonly diagnostic: Diagnostic
  readonly rejects: boolean
}

interface Details {
  readonly hint?: string
  readonly related?: readonly RelatedLocation[]
}

/** s6-rc-compile refuses the tree for this. */
export function rejection(code: DiagnosticCode, place: Location, message: string, details: Details = {}): Finding {
  return { diagnostic: { code, severity: 'error', message, ...place, ...details }, rejects: true }
}

/** It compiles, and does not do what its author meant. */
export function mistake(code: DiagnosticCode, place: Location, message: string, details: Details = {}): Finding {
  return { diagnostic: { code, severity: 'error', message, ...place, ...details }, rejects: false }
}

/** It compiles and may be meant. */
export function doubt(code: DiagnosticCode, place: Location, message: string, details: Details = {}): Finding {
  return { diagnostic: { code, severity: 'warning', message, ...place, ...details }, rejects: false }
}

/** The start of a file, or a directory as a whole. */
export function wholeOf(entry: Pick<Entry, 'path'>): Location {
  return { file: entry.path === '' ? '.' : entry.path, range: TEXT_START }
}

/** Characters `start` to `end` (UTF-16 units) of a file's text. */
export function inText(file: FileEntry, start: number, end: number): Location {
  const text = textOf(file)
  return { file: file.path, range: { start: positionAt(text, start), end: positionAt(text, end) } }
}

/** A file's text without the newlines at its end: what a file of one value says. */
export function valueText(file: FileEntry): Location {
  return inText(file, 0, textOf(file).replace(/[\r\n]+$/, '').length)
}

function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  let line = 1
  for (const character of before) if (character === '\n') line += 1
  return { line, column: offset - lineStart + 1, offset }
}
