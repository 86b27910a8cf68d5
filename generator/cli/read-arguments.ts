import { checkInvocation, type Invocation } from './invocation.ts'
import type { Option } from './option.ts'
import { isVerb, verbOf } from './verbs.ts'

/**
 * Reads a well-formed command line; `null` for everything else (help, mistakes, rarer spellings), which is left to
 * yargs. Loading yargs takes longer than a render.
 */
export function readArguments(words: readonly string[]): Invocation | null {
  const [verb = '', ...rest] = words
  if (!isVerb(verb) || verb === 'completion') return null
  const { options } = verbOf(verb)
  const given = new Map<string, string[]>()
  const plain: string[] = []
  for (let at = 0; at < rest.length; at += 1) {
    const word = rest[at] ?? ''
    if (word === '-' || !word.startsWith('-')) {
      plain.push(word)
      continue
    }
    const read = readOption(options, word, rest[at + 1])
    if (read === null) return null
    if (read.tookNext) at += 1
    given.set(read.name, [...(given.get(read.name) ?? []), ...read.values])
  }
  const invocation = checkInvocation({ verb, words: plain, given })
  return 'problem' in invocation ? null : invocation
}

interface ReadOption {
  readonly name: string
  readonly values: readonly string[]
  readonly tookNext: boolean
}

function readOption(
  options: Readonly<Record<string, Option>>,
  word: string,
  next: string | undefined,
): ReadOption | null {
  const equals = word.startsWith('--') ? word.indexOf('=') : -1
  const name = nameOf(options, equals === -1 ? word : word.slice(0, equals))
  const option = name === null ? undefined : options[name]
  if (name === null || option === undefined) return null
  if (option.kind === 'flag')
    return equals === -1 && next !== 'true' && next !== 'false' ? { name, values: [], tookNext: false } : null
  // What an empty value means is for yargs to say.
  if (equals === word.length - 1 || (equals === -1 && next === '')) return null
  if (equals !== -1) return { name, values: [word.slice(equals + 1)], tookNext: false }
  const isValue = next !== undefined && (next === '-' || !next.startsWith('-'))
  return isValue ? { name, values: [next], tookNext: true } : null
}

function nameOf(options: Readonly<Record<string, Option>>, word: string): string | null {
  if (word.startsWith('--')) {
    const name = word.slice(2)
    return Object.hasOwn(options, name) ? name : null
  }
  const alias = word.slice(1)
  return Object.keys(options).find((name) => options[name]?.alias === alias) ?? null
}
