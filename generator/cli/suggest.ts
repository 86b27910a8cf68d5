import { nearest } from '../../schema/nearest.ts'
import type { UsageProblem } from './invocation.ts'
import { isVerb, VERBS, verbOf } from './verbs.ts'

/** The first word of a command line that means nothing, with what was probably meant; `null` where all are known. */
export function findUnknownWord(words: readonly string[]): UsageProblem | null {
  const verb = words.find((word) => !word.startsWith('-'))
  if (verb === undefined) {
    const option = words.find((word) => !/^(-h|--help|--version)$/.test(word))
    if (option === undefined) return null
    return { problem: `cannot use "${option}" without a command`, hint: 'machinegen --help lists the commands' }
  }
  if (!isVerb(verb)) {
    const guess = nearest(verb, Object.keys(VERBS))
    const hint = guess === undefined ? 'machinegen --help lists them' : `did you mean "${guess}"?`
    return { problem: `cannot ${JSON.stringify(verb)}: there is no such command`, hint }
  }
  const { options } = verbOf(verb)
  const names = [...Object.keys(options), 'help']
  for (const word of words) {
    if (word === '--') return null
    const name = /^--([^=]+)/.exec(word)?.[1]
    if (name === undefined || names.includes(name) || name === 'version') continue
    const guess = nearest(name, names)
    const hint = guess === undefined ? `machinegen ${verb} --help lists the options` : `did you mean --${guess}?`
    return { problem: `cannot use --${name}: "${verb}" has no such option`, hint }
  }
  return null
}
