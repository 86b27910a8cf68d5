/** No key, service or variable of a machine file is as long; a hostile word must not cost a quadratic comparison. */
const MAX_WORD_LENGTH = 80

/**
 * The candidate that `word` was probably meant to be, for "did you mean". Letter case, `-`, `_` and spaces do not count
 * as differences; of the rest, a third of the letters may be wrong, missing, extra or swapped with a neighbour.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > MAX_WORD_LENGTH) return undefined
  const wanted = simplify(word)
  let best: string | undefined
  let bestDistance = Number.POSITIVE_INFINITY
  for (const candidate of candidates) {
    if (candidate.length > MAX_WORD_LENGTH) continue
    const known = simplify(candidate)
    const allowed = Math.min(Math.floor(Math.max(wanted.length, known.length) / 3), bestDistance - 1)
    if (Math.abs(wanted.length - known.length) > allowed) continue
    const distance = editDistance(wanted, known)
    if (distance > allowed) continue
    best = candidate
    bestDistance = distance
  }
  return best
}

function simplify(word: string): string {
  return word.toLowerCase().replace(/[-_\s]/g, '')
}

/** Damerau-Levenshtein distance in its optimal string alignment form: a swap of neighbours costs one edit. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const isSame = a[row - 1] === b[column - 1]
      const replaced = previous[column - 1]! + (isSame ? 0 : 1)
      let cost = Math.min(replaced, previous[column]! + 1, current[column - 1]! + 1)
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (isSwap) cost = Math.min(cost, beforePrevious[column - 2]! + 1)
      current.push(cost)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[b.length]!
}
