import type { Range } from './diagnostic.ts'
import { characterWidth, showable } from './terminal-text.ts'

/** Columns of source that are shown; of a longer line, the part around the caret. */
const MAX_COLUMNS = 100
/** What is left of a clipped line before the caret, so that one sees where it stands. */
const CONTEXT_COLUMNS = 30
const TAB_COLUMNS = 4
/** A line is looked at this far around the caret: a line of two million characters must not be measured whole. */
const MAX_UNITS = 400

export interface Excerpt {
  /** The source line: tabs as spaces, control characters written out, long lines clipped. */
  readonly line: string
  /** Columns before the underline, and of the underline. */
  readonly indent: number
  readonly length: number
}

/** Offsets of a text that must not be shown, half open. */
export interface Hidden {
  readonly start: number
  readonly end: number
}

interface Cell {
  readonly offset: number
  readonly text: string
  readonly width: number
  readonly isMarked: boolean
}

/** The line on which a range begins, with what is to be underlined; `undefined` where the text has no such line. */
export function excerptOf(text: string, range: Range, hidden: readonly Hidden[] = []): Excerpt | undefined {
  const { offset } = range.start
  if (offset > text.length) return undefined
  const windowStart = Math.max(0, offset - MAX_UNITS)
  const before = text.slice(windowStart, offset)
  const after = text.slice(offset, offset + MAX_UNITS)
  const lineBreak = before.lastIndexOf('\n')
  const lineEnd = after.search(/\r?(?:\n|$)/)
  const isCutBefore = lineBreak === -1 && windowStart > 0
  const isCutAfter = offset + lineEnd < text.length && lineEnd === after.length
  const cells = cellsOf(text, windowStart + lineBreak + 1, offset + lineEnd, range, hidden)
  const caret = cells.findIndex((cell) => cell.offset >= offset)
  return clip(cells, caret === -1 ? cells.length : caret, isCutBefore, isCutAfter)
}

function cellsOf(text: string, from: number, to: number, range: Range, hidden: readonly Hidden[]): Cell[] {
  const cells: Cell[] = []
  let column = 0
  let offset = from
  for (const character of text.slice(from, to)) {
    const isHidden = hidden.some((part) => offset >= part.start && offset < part.end)
    const cell = isHidden ? { text: '*', width: 1 } : cellOf(character, column)
    const isMarked = offset >= range.start.offset && offset < range.end.offset
    cells.push({ ...cell, offset, isMarked })
    column += cell.width
    offset += character.length
  }
  return cells
}

function cellOf(character: string, column: number): { text: string; width: number } {
  if (character >= ' ' && character <= '~') return { text: character, width: 1 }
  if (character === '\t') {
    const width = TAB_COLUMNS - (column % TAB_COLUMNS)
    return { text: ' '.repeat(width), width }
  }
  const text = showable(character)
  return { text, width: text === character ? characterWidth(character) : text.length }
}

function clip(cells: readonly Cell[], caret: number, isCutBefore: boolean, isCutAfter: boolean): Excerpt {
  const isLong = isCutBefore || isCutAfter || widthOf(cells) > MAX_COLUMNS
  const first = isLong ? firstShown(cells, caret) : 0
  const last = isLong ? lastShown(cells, first) : cells.length
  const shown = cells.slice(first, last)
  const before = first > 0 || isCutBefore ? '…' : ''
  const after = last < cells.length || isCutAfter ? '…' : ''
  const indent = before.length + widthOf(cells.slice(first, caret))
  const length = Math.max(1, widthOf(shown.filter((cell) => cell.isMarked)))
  return { line: `${before}${shown.map((cell) => cell.text).join('')}${after}`, indent, length }
}

function firstShown(cells: readonly Cell[], caret: number): number {
  if (widthOf(cells.slice(0, caret)) < MAX_COLUMNS - CONTEXT_COLUMNS) return 0
  let first = caret
  for (let width = 0; first > 0 && width < CONTEXT_COLUMNS; first -= 1) width += cells[first - 1]!.width
  return first
}

function lastShown(cells: readonly Cell[], first: number): number {
  let last = first
  for (let width = 0; last < cells.length && width < MAX_COLUMNS; last += 1) width += cells[last]!.width
  return last
}

function widthOf(cells: readonly Cell[]): number {
  return cells.reduce((sum, cell) => sum + cell.width, 0)
}
