import type { Terminal } from '../shared/terminal-block.ts'

export interface Screen {
  readonly draw: (lines: readonly string[]) => void
  readonly close: () => void
}

const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
/** Everything up to the end is shown at once, on terminals that know of it. */
const [BEGIN_UPDATE, END_UPDATE] = ['\u001b[?2026h', '\u001b[?2026l']

/**
 * The terminal as a screen of its own, and as it was before once it is closed. A picture is drawn over the last one in a
 * single write, so that nothing flickers.
 */
export function openScreen(terminal: Terminal): Screen {
  terminal.write(ENTER)
  let isOpen = true
  return {
    draw: (lines) => {
      const shown = lines.slice(0, Math.max(1, (terminal.rows || 24) - 1))
      terminal.write(
        `${BEGIN_UPDATE}\u001b[H${shown.map((line) => `${line}\u001b[K\r\n`).join('')}\u001b[J${END_UPDATE}`,
      )
    },
    close: () => {
      if (isOpen) terminal.write(LEAVE)
      isOpen = false
    },
  }
}
