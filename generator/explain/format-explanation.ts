import { showable } from '../diagnostics/terminal-text.ts'
import type { Explanation } from './explain.ts'
import { originText } from './origin-text.ts'

/** Longer values have the line to themselves. */
const VALUE_COLUMNS = 32

/** For people: a block for each service, a line for each value. */
export function formatExplanations(explanations: readonly Explanation[]): string {
  return explanations.map(formatOne).join('\n')
}

function formatOne({ title, values }: Explanation): string {
  const width = Math.max(...values.map(({ field }) => field.length))
  const short = values.filter(({ value }) => value.length <= VALUE_COLUMNS)
  const valueWidth = Math.max(0, ...short.map(({ value }) => value.length))
  const lines = values.map(({ field, value, origin }) => {
    const shown = showable(value)
    const text = showable(originText(origin))
    const head = `  ${field.padEnd(width)}  `
    return value.length <= VALUE_COLUMNS
      ? `${head}${shown.padEnd(valueWidth)}  ${text}`
      : `${head}${shown}\n${' '.repeat(head.length + valueWidth)}  ${text}`
  })
  return `${showable(title)}\n${lines.join('\n')}\n`
}
