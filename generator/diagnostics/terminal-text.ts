/**
 * Characters that a terminal or a reader's eye would obey instead of show: controls, line separators, direction marks,
 * halves of surrogate pairs.
 */
const UNSHOWABLE = /[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/gu

/** Text for a terminal: what would steer it is written out, as `\x1b` or `\u202e`. */
export function showable(text: string): string {
  return text.replace(UNSHOWABLE, escapeCharacter)
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  const hex = code.toString(16)
  return code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`
}

/** Columns that a terminal gives to one character: 0 for combining marks, 2 for East Asian wide ones and emoji, else 1. */
export function characterWidth(character: string): number {
  const code = character.codePointAt(0) ?? 0
  if (code < 0x300) return 1
  if (/\p{Mn}|\p{Me}|[\u200b\u200c]|\u200d/u.test(character)) return 0
  return isWide(code) || /\p{Emoji_Presentation}/u.test(character) ? 2 : 1
}

/** The blocks that Unicode Standard Annex 11 calls wide or fullwidth; the gaps between them hold nothing common. */
function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf && code !== 0x303f) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x20000 && code <= 0x3fffd)
  )
}
