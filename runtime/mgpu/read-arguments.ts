import { parseArgs } from 'node:util'
import { nearest } from '../../schema/nearest.ts'
import { type OptionName, type ProgramName, specOf, type Verb, verbNames, verbsOf } from './verb-table.ts'

/** What a command line asks for, as far as it can be understood without a machine. */
export interface Request {
  readonly program: ProgramName
  readonly verb: Verb
  /** As it was written; `null`: all services of the machine (of `wgpu`: its workers). */
  readonly service: string | null
  /** As it was written; `null`: every GPU. */
  readonly gpu: string | null
  /** What else stood behind the verb: the shell of `completion`. */
  readonly word: string | null
  readonly options: Options
}

export interface Options {
  readonly plan: string | null
  readonly machine: string | null
  readonly json: boolean
  /** How long a start may take; `null`: as long as the machine file allows; 0: nobody waits. */
  readonly waitMs: number | null
  readonly reason: string | null
  readonly lines: number | null
  /** `null`: as the verb does by itself. */
  readonly follow: boolean | null
  readonly level: string | null
  readonly grep: string | null
  readonly since: string | null
}

export type Reading =
  | { readonly kind: 'request'; readonly request: Request }
  | { readonly kind: 'help'; readonly verb: Verb | null }
  | { readonly kind: 'problem'; readonly message: string }

const OPTIONS = {
  plan: { type: 'string' },
  machine: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  wait: { type: 'string' },
  'no-wait': { type: 'boolean' },
  reason: { type: 'string' },
  lines: { type: 'string' },
  follow: { type: 'boolean', short: 'f' },
  'no-follow': { type: 'boolean' },
  level: { type: 'string' },
  grep: { type: 'string' },
  since: { type: 'string' },
} as const satisfies Record<OptionName, object>

type Values = ReturnType<typeof parseWords>['values']

/**
 * Reads `[SERVICE] VERB [GPU|all]`, and `VERB SERVICE [GPU|all]` alike. `-n 50` is a number of lines, `-n` alone means not
 * to follow, and `no-follow` needs no dashes: scripts for the first machines say so.
 */
export function readArguments(program: ProgramName, words: readonly string[]): Reading {
  let parsed: ReturnType<typeof parseWords>
  try {
    parsed = parseWords(spellOptions(words))
  } catch (error) {
    return problem((error as Error).message.split('. To specify', 1)[0]!.replace(/\.$/, ''))
  }
  const { positionals, values } = parsed
  const found = findVerb(program, positionals)
  if (values.help || positionals[0] === 'help') return { kind: 'help', verb: helpedVerb(positionals, found) }
  if (typeof found === 'string') return problem(found)
  const foreign = Object.keys(values).find((name) => !isAllowed(found.verb, name as OptionName))
  if (foreign !== undefined) return problem(`cannot use --${foreign} with "${found.verb}"`)
  try {
    const { lines, ...placed } = place(program, found)
    return { kind: 'request', request: { program, verb: found.verb, ...placed, options: readOptions(values, lines) } }
  } catch (error) {
    if (error instanceof Unusable) return problem(error.message)
    throw error
  }
}

class Unusable extends Error {}

const problem = (message: string): Reading => ({ kind: 'problem', message })

function parseWords(args: string[]) {
  return parseArgs({ args, options: OPTIONS, allowPositionals: true })
}

const isAllowed = (verb: Verb, option: OptionName): boolean =>
  option === 'plan' || option === 'machine' || option === 'help' || specOf(verb).options.includes(option)

/** The spellings of the first machines as options: `no-follow`, `-n`, `-n 50`, `-n50`. */
function spellOptions(words: readonly string[]): string[] {
  return words.flatMap((word, index) => {
    if (word === 'no-follow') return ['--no-follow']
    const isCount = /^\d+$/.test(word) && words[index - 1] === '-n'
    if (isCount) return [`--lines=${word}`]
    if (word === '-n') return /^\d+$/.test(words[index + 1] ?? '') ? [] : ['--no-follow']
    const lines = /^-n=?(\d+)$/.exec(word)
    return lines === null ? [word] : [`--lines=${lines[1]}`]
  })
}

interface FoundVerb {
  readonly verb: Verb
  readonly before: string | null
  readonly behind: readonly string[]
}

/** The verb is the first word or the second; a message where neither is one. */
function findVerb(program: ProgramName, words: readonly string[]): FoundVerb | string {
  const verbs = verbsOf(program)
  const isVerb = (word: string | undefined): word is Verb => verbs.includes(word as Verb)
  const [first, second, ...rest] = words
  if (program !== 'service' && isVerb(first)) return { verb: first, before: null, behind: words.slice(1) }
  if (program !== 'wgpu' && isVerb(second)) return { verb: second, before: first!, behind: rest }
  if (first === undefined) return 'a command is missing'
  const wrong = second === undefined || program === 'wgpu' ? first : second
  const meant = nearest(wrong, verbs)
  return `there is no command "${wrong}"${meant === undefined ? '' : `; did you mean "${meant}"?`}`
}

function helpedVerb(words: readonly string[], found: FoundVerb | string): Verb | null {
  if (typeof found !== 'string') return found.verb
  return verbNames.find((name) => words.includes(name)) ?? null
}

type Placed = Pick<Request, 'service' | 'gpu' | 'word'> & { readonly lines: string | null }

function place(program: ProgramName, { verb, before, behind }: FoundVerb): Placed {
  const spec = specOf(verb)
  const nowhere = { service: null, gpu: null, word: null, lines: null }
  if (spec.takes === 'word') {
    const [word, ...rest] = behind
    if (before !== null || rest.length > 0 || !spec.words?.includes(word ?? '')) {
      throw new Unusable(`"${verb}" takes one of ${spec.words?.join(', ')}`)
    }
    return { ...nowhere, word: word! }
  }
  if (spec.takes === 'nothing') {
    // Some of them stood behind a service in the first machines, as in `mgpu comfyui count`.
    const left = behind.filter((word) => word !== 'all')
    if (left.length > 0) throw new Unusable(`cannot use "${left[0]}" with "${verb}": it is about the whole machine`)
    return nowhere
  }
  const words = [...behind]
  const service = before ?? (program !== 'wgpu' && isName(words[0]) ? words.shift()! : null)
  const gpu = words.shift() ?? null
  // `wgpu logs 0 50`; and `service comfyui start 0 1`, whose last word said that GPUs are simulated.
  const last = words.shift() ?? null
  const isUsed = last === null || ((verb === 'logs' || program === 'service') && /^\d+$/.test(last))
  if (!isUsed || words.length > 0) throw new Unusable(`cannot use "${words[0] ?? last}": too many words`)
  return { service, gpu: gpu === 'all' ? null : gpu, word: null, lines: verb === 'logs' ? last : null }
}

const isName = (word: string | undefined): boolean => word !== undefined && word !== 'all' && !/^-?\d+$/.test(word)

function readOptions(values: Values, lines: string | null): Options {
  const text = (value: string | undefined) => value ?? null
  if (values.follow && values['no-follow']) throw new Unusable('cannot use --follow and --no-follow together')
  if (values.wait !== undefined && values['no-wait']) throw new Unusable('cannot use --wait and --no-wait together')
  return {
    plan: text(values.plan),
    machine: text(values.machine),
    json: values.json ?? false,
    waitMs: values['no-wait'] ? 0 : values.wait === undefined ? null : readDuration(values.wait),
    reason: text(values.reason),
    lines: readLines(values.lines ?? lines),
    follow: values.follow ? true : values['no-follow'] ? false : null,
    level: text(values.level),
    grep: text(values.grep),
    since: text(values.since),
  }
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

function readDuration(text: string): number {
  const parts = /^(\d{1,9})(ms|s|m|h)$/.exec(text)
  if (parts === null) throw new Unusable(`cannot use "${text}" as --wait: a duration has a unit, as in "60s" or "5m"`)
  return Number(parts[1]) * UNITS_MS[parts[2]!]!
}

function readLines(text: string | null): number | null {
  if (text === null) return null
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new Unusable(`cannot use "${text}" as --lines: it is no whole number`)
}
