export type Words = { readonly words: readonly string[] } | { readonly problem: string }

/** What a backslash can escape between double quotes (POSIX shell, 2.2.3). */
const ESCAPABLE_IN_QUOTES = '"\\$`\n'

/**
 * Splits a text into words as a POSIX shell does: at blanks and line ends, with single quotes, double quotes and
 * backslashes. Nothing is evaluated: `$HOME`, `*`, `;` and `#` are plain characters.
 */
export function splitWords(text: string): Words {
  const words: string[] = []
  let word: string | null = null
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] as string
    if (/\s/.test(character)) {
      if (word !== null) words.push(word)
      word = null
    } else if (character === "'" || character === '"') {
      const quoted = readQuoted(text, at)
      if (quoted === null) return { problem: `the ${character} at character ${at + 1} is never closed` }
      word = (word ?? '') + quoted.content
      at = quoted.end
    } else if (character === '\\') {
      at += 1
      if (at === text.length) return { problem: 'a backslash at its end escapes nothing' }
      word = (word ?? '') + (text[at] === '\n' ? '' : text[at])
    } else word = (word ?? '') + character
  }
  if (word !== null) words.push(word)
  return { words }
}

/** The text between two quotes; `end` is the offset of the second one. */
function readQuoted(text: string, start: number): { content: string; end: number } | null {
  const quote = text[start]
  let content = ''
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text[at] as string
    if (character === quote) return { content, end: at }
    const next = text[at + 1]
    if (character === '\\' && quote === '"' && next !== undefined && ESCAPABLE_IN_QUOTES.includes(next)) {
      if (next !== '\n') content += next
      at += 1
    } else content += character
  }
  return null
}
