import { refuseInexpressible } from './refusal.ts'

const PLAIN_WORD = /^[A-Za-z0-9_@%+=:,./-]+$/

/**
 * A value as one word of execline: within double quotes only `"` and `\` mean something (execlineb docs, quoting);
 * `$` does not, since no substitution command is in front.
 */
export function execlineWord(value: string): string {
  refuseInexpressible('an execline word', value)
  return PLAIN_WORD.test(value) ? value : `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

export function execlineCommand(words: readonly string[]): string {
  return words.map(execlineWord).join(' ')
}
