import type { PathStep } from './merge-layers.ts'
import type { Place, SourceText } from './source-text.ts'

/** No path into a machine file is longer; with the depth of the value itself, recursion stays shallow. */
const MAX_STEPS = 50

/** `end` is the offset behind the `=`. */
export type OptionPath =
  | { readonly steps: PathStep[]; readonly end: number }
  | { readonly problem: string; readonly place: Place }

/**
 * The path of a `--set` option: keys with dots between them, up to the first `=`. A key with a dot or a `=` in it is
 * quoted, or has a backslash before them.
 */
export function readOptionPath(source: SourceText): OptionPath {
  const steps: PathStep[] = []
  let at = 0
  while (true) {
    const step = readStep(source, at)
    if ('problem' in step) return step
    steps.push(step)
    const separator = source.text[step.place.end]
    const place = { source, start: step.place.end, end: source.text.length }
    if (separator === '=') return { steps, end: step.place.end + 1 }
    if (separator === undefined) return { place, problem: 'it has no "="' }
    if (separator !== '.') return { place, problem: `after a quoted key comes "." or "=", not "${separator}"` }
    if (steps.length === MAX_STEPS) return { place, problem: `its path has more than ${MAX_STEPS} keys` }
    at = step.place.end + 1
  }
}

function readStep(source: SourceText, start: number): PathStep | { problem: string; place: Place } {
  const { text } = source
  const quote = text[start] === '"' || text[start] === "'" ? text[start] : undefined
  let at = quote === undefined ? start : start + 1
  let key = ''
  while (at < text.length && (quote === undefined ? text[at] !== '.' && text[at] !== '=' : text[at] !== quote)) {
    if (text[at] === '\\' && at + 1 < text.length) at += 1
    key += text[at]
    at += 1
  }
  const place = { source, start, end: quote === undefined ? at : at + 1 }
  if (quote !== undefined && at >= text.length) {
    return { place: { ...place, end: at }, problem: `the ${quote} before "${key}" is never closed` }
  }
  if (quote === undefined && key === '')
    return { place: { ...place, end: at + 1 }, problem: 'a key of its path is empty' }
  return { key, place }
}
