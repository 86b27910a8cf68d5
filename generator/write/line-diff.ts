/** Lines `oldStart..oldEnd` of the old text give way to lines `newStart..newEnd` of the new one; half open, from 0. */
export interface Replacement {
  readonly oldStart: number
  readonly oldEnd: number
  readonly newStart: number
  readonly newEnd: number
}

/** Bounds the work (lines times edits) to well under a second, and the memory to 16 MB. */
const MAX_STEPS = 20_000_000
const MAX_EDITS = 2000
/** Even the longest texts get an exact answer for a small change. */
const LEAST_MAX_EDITS = 32

/**
 * A shortest list of replacements that turns one list of lines into the other, in order, by the greedy algorithm of
 * Myers, "An O(ND) Difference Algorithm and Its Variations" (1986). Texts that differ in too much for its bound get one
 * replacement of everything between their common start and end: longer, and as right.
 */
export function diffLines(oldLines: readonly string[], newLines: readonly string[]): Replacement[] {
  const { start, oldEnd, newEnd } = commonEnds(oldLines, newLines)
  const [a, b] = asNumbers(oldLines.slice(start, oldEnd), newLines.slice(start, newEnd))
  const trace = findTrace(a, b)
  if (trace === undefined) return [{ oldStart: start, oldEnd, newStart: start, newEnd }]
  return replacements(trace, a.length, b.length).map((part) => ({
    oldStart: part.oldStart + start,
    oldEnd: part.oldEnd + start,
    newStart: part.newStart + start,
    newEnd: part.newEnd + start,
  }))
}

function commonEnds(oldLines: readonly string[], newLines: readonly string[]) {
  let start = 0
  let oldEnd = oldLines.length
  let newEnd = newLines.length
  while (start < oldEnd && start < newEnd && oldLines[start] === newLines[start]) start++
  while (oldEnd > start && newEnd > start && oldLines[oldEnd - 1] === newLines[newEnd - 1]) {
    oldEnd--
    newEnd--
  }
  return { start, oldEnd, newEnd }
}

/** Equal lines get equal numbers, so that comparing two lines costs the same however long they are. */
function asNumbers(...texts: [readonly string[], readonly string[]]): [Int32Array, Int32Array] {
  const numbers = new Map<string, number>()
  const numberOf = (line: string) => {
    const known = numbers.get(line)
    if (known !== undefined) return known
    numbers.set(line, numbers.size)
    return numbers.size - 1
  }
  return [Int32Array.from(texts[0], numberOf), Int32Array.from(texts[1], numberOf)]
}

/**
 * For each number of edits, how far along each diagonal (old position minus new position) so many edits reach; the last
 * row reaches the end of both. Entry `edits + diagonal` of a row is diagonal `diagonal`. `undefined` beyond the bound.
 */
function findTrace(a: Int32Array, b: Int32Array): Int32Array[] | undefined {
  const maxEdits = Math.min(MAX_EDITS, Math.max(LEAST_MAX_EDITS, Math.floor(MAX_STEPS / (a.length + b.length + 1))))
  const trace: Int32Array[] = []
  for (let edits = 0; edits <= maxEdits; edits++) {
    const row = new Int32Array(2 * edits + 1)
    trace.push(row)
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      let x = reach(trace, edits, diagonal).x
      while (x < a.length && x - diagonal < b.length && a[x] === b[x - diagonal]) x++
      row[edits + diagonal] = x
      if (x >= a.length && x - diagonal >= b.length) return trace
    }
  }
  return undefined
}

/** Where the last of `edits` edits leads to on a diagonal, before the equal lines that follow it. */
function reach(trace: readonly Int32Array[], edits: number, diagonal: number): { x: number; from: number } {
  const previous = trace[edits - 1]
  if (previous === undefined) return { x: 0, from: diagonal }
  const along = (other: number) => previous[edits - 1 + other] ?? -1
  const inserts = diagonal === -edits || (diagonal !== edits && along(diagonal - 1) < along(diagonal + 1))
  return inserts ? { x: along(diagonal + 1), from: diagonal + 1 } : { x: along(diagonal - 1) + 1, from: diagonal - 1 }
}

/** Walks the trace back from the end, and joins edits that no equal line parts. */
function replacements(trace: readonly Int32Array[], oldLength: number, newLength: number): Replacement[] {
  const found: { oldStart: number; oldEnd: number; newStart: number; newEnd: number }[] = []
  let diagonal = oldLength - newLength
  for (let edits = trace.length - 1; edits > 0; edits--) {
    const { x, from } = reach(trace, edits, diagonal)
    const isInsertion = from > diagonal
    const oldStart = isInsertion ? x : x - 1
    const newStart = oldStart - from
    const newEnd = x - diagonal
    const next = found.at(-1)
    if (next !== undefined && next.oldStart === x && next.newStart === newEnd)
      Object.assign(next, { oldStart, newStart })
    else found.push({ oldStart, oldEnd: x, newStart, newEnd })
    diagonal = from
  }
  return found.reverse()
}
