import { refuseInexpressible } from './refusal.ts'

const PLAIN_WORD = /^[A-Za-z0-9_@%+=:,./-]+$/

/** A value as one word of a POSIX shell, byte for byte: single quotes switch everything off but themselves. */
export function shellWord(value: string): string {
  // Nearly every word; there is nothing to refuse in it.
  if (PLAIN_WORD.test(value)) return value
  refuseInexpressible('a shell word', value)
  return `'${value.replaceAll("'", `'\\''`)}'`
}

/** A command line: the words of a command, each quoted. */
export function shellCommand(words: readonly string[]): string {
  // A first word with `=` would be an assignment, unless it is quoted.
  return words
    .map((word, index) => (index === 0 && word.includes('=') ? `'${word.replaceAll("'", `'\\''`)}'` : shellWord(word)))
    .join(' ')
}
