/** The part of a terminal that this writes to. */
export interface Terminal {
  readonly columns?: number
  readonly rows?: number
  readonly write: (text: string) => unknown
}

export interface TerminalBlock {
  /** Shows these lines in the place of the ones before. */
  readonly paint: (lines: readonly string[]) => void
  /** Puts a line above the block, to stay. */
  readonly print: (line: string) => void
  /** Leaves the block as it is and begins below it. */
  readonly settle: () => void
}

/** Everything up to the end is shown at once, on terminals that know of it; others ignore it. */
const BEGIN_UPDATE = '\u001b[?2026h'
const END_UPDATE = '\u001b[?2026l'

/** Lines at the end of the output that are repainted in place, each repaint a single write. */
export function createTerminalBlock(terminal: Terminal): TerminalBlock {
  let painted: readonly string[] = []

  const toTop = () => (painted.length === 0 ? '\r' : `\u001b[${painted.length}A\r`)
  const draw = (lines: readonly string[]) => lines.map((line) => `${line}\u001b[K\n`).join('')

  return {
    paint: (lines) => {
      if (lines.length === painted.length && lines.every((line, index) => line === painted[index])) return
      terminal.write(`${BEGIN_UPDATE}${toTop()}${draw(lines)}\u001b[J${END_UPDATE}`)
      painted = lines
    },
    print: (line) => {
      terminal.write(`${BEGIN_UPDATE}${toTop()}${draw([line, ...painted])}\u001b[J${END_UPDATE}`)
    },
    settle: () => {
      painted = []
    },
  }
}
