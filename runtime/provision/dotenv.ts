/**
 * Lines of a `.env` file, in the subset that its readers agree on: npm's dotenv, Node (`--env-file`, `util.parseEnv`),
 * python-dotenv, and a shell that sources it. The first has no escapes inside quotes and the last expands `$` in double
 * quotes, so:
 *
 * - letters, digits and `_ . / : @ % + , = -` stand bare
 * - everything else stands in single quotes, where all of them take it as it is, newlines included
 * - a value with a single quote stands in double quotes, if it has nothing that is special there
 * - other values are refused: no form of them means the same to all readers
 *
 * (Of these, python-dotenv alone reads `\\` in single quotes as one backslash.)
 */
export type DotenvValue = { readonly text: string } | { readonly refusal: string }

const BARE = /^[\w./:@%+,=-]*$/

/** What no pair of quotes can hold for all readers: dotenv turns CR into LF, and no environment has NUL. */
const NEVER = /[\0\r]/

const SPECIAL_IN_DOUBLE_QUOTES = /["$`\\\n!]/

/** A value as it stands behind `KEY=`, or why it cannot. The refusal does not hold the value. */
export function quoteDotenv(value: string): DotenvValue {
  if (NEVER.test(value)) return { refusal: 'it has a NUL or a carriage return' }
  if (BARE.test(value)) return { text: value }
  // npm's dotenv takes a backslash before the closing quote for an escape, and reads on to the next quote of the file.
  if (value.endsWith('\\')) return { refusal: 'it ends with a backslash' }
  if (!value.includes("'")) return { text: `'${value}'` }
  if (!SPECIAL_IN_DOUBLE_QUOTES.test(value)) return { text: `"${value}"` }
  return {
    refusal: 'it has a single quote and one of " $ ` \\ ! or a newline, which readers of such files take differently',
  }
}

const KEY = /^[A-Za-z_][A-Za-z0-9_]*$/

/** A whole file, or what is wrong with it, a line for each key. */
export function formatDotenv(
  entries: readonly { readonly key: string; readonly value: string }[],
): { readonly text: string } | { readonly refusals: readonly string[] } {
  const lines: string[] = []
  const refusals: string[] = []
  for (const { key, value } of entries) {
    const quoted = KEY.test(key) ? quoteDotenv(value) : { refusal: 'it is not a variable name' }
    if ('text' in quoted) lines.push(`${key}=${quoted.text}\n`)
    else refusals.push(`cannot write "${key}": ${quoted.refusal}`)
  }
  return refusals.length === 0 ? { text: lines.join('') } : { refusals }
}
