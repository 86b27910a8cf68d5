/** Colours, cursor movements, titles: what a terminal takes for itself (ECMA-48, and OSC as xterm has it). */
const TERMINAL_SEQUENCE =
  /[\x1b\x9b](?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[()#%][0-9A-Za-z]|[0-Z\\^-~])/g
const CONTROL = /[\0-\x08\x0b-\x1f\x7f]/g

/** Text of bytes (latin1) that are UTF-8, or mostly so. Always a copy: a part of a text keeps all of it in memory. */
export function decodeBytes(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8')
}

/**
 * What a person would have read in the end: without colours and control characters, and of a line that was painted again
 * and again (a progress bar) the last state.
 */
export function cleanText(text: string): string {
  if (!NEEDS_CLEANING.test(text)) return text
  const plain = text.includes('\x1b') || text.includes('\x9b') ? text.replace(TERMINAL_SEQUENCE, '') : text
  const painted = plain.includes('\r') ? plain.split('\n').map(lastPaint).join('\n') : plain
  return painted.replace(CONTROL, '')
}

const NEEDS_CLEANING = /[\0-\x08\x0b-\x1f\x7f\x9b]/

function lastPaint(line: string): string {
  return (
    line
      .split('\r')
      .filter((state) => state.trim() !== '')
      .at(-1) ?? ''
  )
}
