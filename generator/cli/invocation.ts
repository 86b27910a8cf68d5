import { nearest } from '../../schema/nearest.ts'
import type { Option, Value } from './option.ts'
import { type VerbName, type VerbValues, verbOf } from './verbs.ts'

/** A command line that was understood. */
export interface Invocation<Name extends VerbName = VerbName> {
  readonly verb: Name
  readonly words: readonly string[]
  readonly values: VerbValues<Name>
}

/** A command line as it was typed: each option with the texts it was given, a flag with none. */
export interface RawInvocation {
  readonly verb: VerbName
  readonly words: readonly string[]
  readonly given: ReadonlyMap<string, readonly string[]>
}

/** Why a command line cannot be used, with a hint. */
export interface UsageProblem {
  readonly problem: string
  readonly hint?: string
}

/** What both parsers end in: the values, or the first thing that is wrong with them. */
export function checkInvocation(raw: RawInvocation): Invocation | UsageProblem {
  const { options, conflicts = [] } = verbOf(raw.verb)
  const values: Record<string, Value> = {}
  for (const [name, option] of Object.entries(options)) {
    const read = readValue(name, option, raw.given.get(name))
    if ('problem' in read) return read
    values[name] = read.value
  }
  const clash = conflicts.find(([a, b]) => raw.given.has(a) && raw.given.has(b))
  if (clash !== undefined) return { problem: `cannot use --${clash[0]} together with --${clash[1]}` }
  const words = checkWords(raw)
  if (words !== null) return words
  return { verb: raw.verb, words: raw.words, values: values as Invocation['values'] }
}

function readValue(
  name: string,
  option: Option,
  given: readonly string[] | undefined,
): { readonly value: Value } | UsageProblem {
  if (given === undefined) return absent(name, option)
  if (option.kind === 'list') return { value: given }
  if (given.length > 1) return { problem: `cannot use --${name} more than once` }
  const text = given[0] ?? ''
  if (option.kind === 'flag') return { value: true }
  if (text === '') return { problem: `cannot use an empty --${name}` }
  if (option.kind === 'number') return readNumber(name, text, option.most)
  if (option.kind === 'choice') return readChoice(`"${text}" for --${name}`, text, option.choices)
  if (option.form !== undefined && !option.form.pattern.test(text)) {
    return { problem: `cannot use "${text}" for --${name}: it must be ${option.form.words}` }
  }
  return { value: text }
}

function absent(name: string, option: Option): { readonly value: Value } | UsageProblem {
  if (option.kind === 'flag') return { value: false }
  if (option.kind === 'list') return { value: [] }
  if (option.kind === 'choice') return { value: option.initial }
  if (option.kind === 'text' && option.required) return { problem: `cannot go on without --${name} ${option.value}` }
  return { value: undefined }
}

function readNumber(name: string, text: string, most: number): { readonly value: number } | UsageProblem {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (value <= most) return { value }
  return { problem: `cannot use "${text}" for --${name}: it must be a whole number from 0 to ${most}` }
}

function readChoice(what: string, text: string, choices: readonly string[]): { readonly value: string } | UsageProblem {
  if (choices.includes(text)) return { value: text }
  const guess = nearest(text, choices)
  const hint = guess === undefined ? `it is one of ${choices.join(', ')}` : `did you mean "${guess}"?`
  return { problem: `cannot use ${what}`, hint }
}

function checkWords({ verb, words }: RawInvocation): UsageProblem | null {
  const spec = verbOf(verb).words
  const count = spec?.count
  if (spec !== undefined && count?.startsWith('one') && words.length === 0) {
    return { problem: `cannot ${verb} nothing: ${spec.name.toUpperCase()} is missing` }
  }
  const most = spec === undefined ? 0 : count === 'one' || count === 'optional' ? 1 : Number.POSITIVE_INFINITY
  const extra = words[most]
  if (extra !== undefined) return { problem: `cannot use "${extra}": ${verb} takes ${most === 0 ? 'no' : 'one'} word` }
  if (words.includes('')) return { problem: 'cannot use an empty word' }
  const first = words[0]
  if (spec?.choices === undefined || first === undefined) return null
  const choice = readChoice(`"${first}"`, first, spec.choices)
  return 'problem' in choice ? choice : null
}
