import type { Place } from './source-text.ts'

/**
 * Where a reference that was found at `start..end` of a string's value stands in the text. Quotes, escapes, folded
 * lines and indentation make the two differ, but the text has the value's dollar signs in the same order; only for an
 * alias, or where an escape hides a dollar sign, is the whole value shown instead.
 */
export function templatePlace(place: Place, value: string, start: number, end: number): Place {
  const written = place.source.text.slice(place.start, place.end)
  const hasHiddenDollar = written.startsWith('"') && /\\(?:x24|u0024|U00000024)/.test(written)
  const at = hasHiddenDollar ? -1 : offsetOfDollar(written, countDollars(value, start))
  if (at === -1) return place
  const isVerbatim = written.startsWith(value.slice(start, end), at)
  const close = isVerbatim ? at + (end - start) : written.indexOf('}', at) + 1
  return { ...place, start: place.start + at, end: close > at ? place.start + close : place.end }
}

function countDollars(text: string, end: number): number {
  let count = 0
  for (let at = text.indexOf('$'); at !== -1 && at < end; at = text.indexOf('$', at + 1)) count += 1
  return count
}

/** Of the dollar sign that has `index` others before it; -1 if there is none. */
function offsetOfDollar(text: string, index: number): number {
  let at = text.indexOf('$')
  for (let left = index; left > 0 && at !== -1; left -= 1) at = text.indexOf('$', at + 1)
  return at
}
