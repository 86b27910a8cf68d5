import type { Diagnostic } from './diagnostic.ts'

/**
 * The findings in reading order: by text, in the order of `texts` (files that it lacks come last, by name), then by
 * position; at one position errors first, then by code and message. The same findings give the same order, however they
 * were collected.
 */
export function sortDiagnostics(
  diagnostics: readonly Diagnostic[],
  texts: ReadonlyMap<string, string> = new Map(),
): Diagnostic[] {
  const order = new Map([...texts.keys()].map((file, index) => [file, index]))
  const orderOf = (file: string) => order.get(file) ?? order.size
  return diagnostics.toSorted(
    (a, b) =>
      orderOf(a.file) - orderOf(b.file) ||
      compare(a.file, b.file) ||
      a.range.start.offset - b.range.start.offset ||
      compare(a.severity, b.severity) ||
      compare(a.code, b.code) ||
      compare(a.message, b.message),
  )
}

/** By UTF-16 units: the same on every machine, whatever its locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
