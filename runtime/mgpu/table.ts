/** SGR numbers. */
export const COLOR = { red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36, grey: 90, bold: 1 } as const

export type Color = keyof typeof COLOR

export interface Cell {
  readonly text: string
  readonly color?: Color | undefined
}

export interface TableLayout {
  readonly color: boolean
  /** Lines are cut at this width; `null`: nothing is cut. */
  readonly columns: number | null
}

/** Text in a colour, where there are colours. */
export function paint(text: string, color: Color | undefined, isColored: boolean): string {
  return color === undefined || !isColored || text === '' ? text : `\u001b[${COLOR[color]}m${text}\u001b[0m`
}

/** A table as lines. The last column is as wide as it likes, up to the width of the terminal. */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly (string | Cell)[])[],
  { color, columns }: TableLayout,
): string[] {
  const cells = rows.map((row) => row.map((cell): Cell => (typeof cell === 'string' ? { text: cell } : cell)))
  const widths = headings.map((heading, index) =>
    Math.max(heading.length, ...cells.map((row) => row[index]?.text.length ?? 0)),
  )
  const line = (row: readonly Cell[]): string => {
    let used = 0
    const parts = row.map(({ text, color: own }, index) => {
      const isLast = index === row.length - 1
      const cut = columns === null ? text : clip(text, Math.max(0, columns - used))
      used += widths[index]! + 2
      return paint(cut, own, color) + (isLast ? '' : ' '.repeat(Math.max(0, widths[index]! - cut.length)))
    })
    return parts.join('  ').trimEnd()
  }
  return [line(headings.map((text) => ({ text, color: 'bold' }))), ...cells.map(line)]
}

/** At most so many characters, the last one an ellipsis where some are missing. */
export function clip(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, Math.max(0, length - 1))}${length > 0 ? '…' : ''}`
}
