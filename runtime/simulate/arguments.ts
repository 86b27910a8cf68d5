/**
 * Command lines as Python's argparse reads them: ComfyUI and Automatic1111 are argparse programs, and a stand-in that
 * accepted what they refuse would hide mistakes of the compiler. Facts: the argparse documentation, CPython 3.12 messages.
 */

/** How many words follow a flag: none, one, `?` (none or one), `*` (any), `+` (at least one). */
export type Arity = 'none' | 'one' | '?' | '*' | '+'

export interface Flag {
  readonly name: string
  readonly arity: Arity
  readonly type?: 'int' | 'float' | 'text'
  readonly metavar?: string
  readonly choices?: readonly string[]
  /** The value of a `?` flag that stands alone. */
  readonly bare?: string
  /** Flags of one group exclude each other. */
  readonly group?: string
  /** Says why a value is no good, or nothing. Argparse prints it after `argument --flag: `. */
  readonly refuse?: (value: string) => string | undefined
}

export type FlagValue = true | string | number | readonly (string | number)[]

export type ParsedArguments =
  | { readonly ok: true; readonly values: ReadonlyMap<string, FlagValue> }
  | { readonly ok: false; readonly exitCode: 0 | 2; readonly text: string }

const NEGATIVE_NUMBER = /^-\d+$|^-\d*\.\d+$/
const looksLikeFlag = (word: string) =>
  word.startsWith('-') && word.length > 1 && !NEGATIVE_NUMBER.test(word) && !word.includes(' ')

/** Switches that take no value, of one exclusive group where `group` is given. */
export function switches(names: readonly string[], group?: string): Flag[] {
  return names.map((name) => ({ name, arity: 'none', ...(group === undefined ? {} : { group }) }))
}

/**
 * Reads `words` by `flags`. A refusal carries what argparse prints (usage and one error on stderr, exit code 2) or,
 * for `--help`, the usage alone (stdout, exit code 0).
 */
export function parseArguments(program: string, flags: readonly Flag[], words: readonly string[]): ParsedArguments {
  const values = new Map<string, FlagValue>()
  const unrecognized: string[] = []
  const refuse = (message: string): ParsedArguments => ({
    ok: false,
    exitCode: 2,
    text: `${usage(program, flags)}\n${program}: error: ${message}\n`,
  })
  for (let at = 0; at < words.length; ) {
    const word = words[at++] as string
    if (word === '-h' || word === '--help') return { ok: false, exitCode: 0, text: `${usage(program, flags)}\n` }
    if (!looksLikeFlag(word)) {
      unrecognized.push(word)
      continue
    }
    const found = findFlag(flags, word)
    if (typeof found === 'string') return refuse(found)
    if (found === undefined) {
      unrecognized.push(word)
      continue
    }
    const excluded = flags.find((other) => other.name !== found.flag.name && excludes(other, found.flag, values))
    if (excluded) return refuse(`argument ${found.flag.name}: not allowed with argument ${excluded.name}`)
    const taken = takeWords(found.flag, found.explicit, words, at)
    if (typeof taken === 'string') return refuse(`argument ${found.flag.name}: ${taken}`)
    at = taken.next
    store(values, found.flag, taken.value)
  }
  if (unrecognized.length > 0) return refuse(`unrecognized arguments: ${unrecognized.join(' ')}`)
  return { ok: true, values }
}

function excludes(other: Flag, flag: Flag, values: ReadonlyMap<string, FlagValue>): boolean {
  return flag.group !== undefined && other.group === flag.group && values.has(other.name)
}

/** The flag that a word names: in full, with `=value`, or by an unambiguous beginning. A text is argparse's complaint. */
function findFlag(flags: readonly Flag[], word: string): { flag: Flag; explicit?: string } | string | undefined {
  const equals = word.indexOf('=')
  const name = equals < 0 ? word : word.slice(0, equals)
  const explicit = equals < 0 ? {} : { explicit: word.slice(equals + 1) }
  const exact = flags.find((flag) => flag.name === name)
  if (exact) return { flag: exact, ...explicit }
  const candidates = name.startsWith('--') ? flags.filter((flag) => flag.name.startsWith(name)) : []
  if (candidates.length > 1) {
    return `ambiguous option: ${word} could match ${candidates.map((flag) => flag.name).join(', ')}`
  }
  const only = candidates[0]
  return only && { flag: only, ...explicit }
}

function takeWords(
  flag: Flag,
  explicit: string | undefined,
  words: readonly string[],
  from: number,
): { value: FlagValue; next: number } | string {
  if (flag.arity === 'none') {
    return explicit === undefined ? { value: true, next: from } : `ignored explicit argument '${explicit}'`
  }
  const most = flag.arity === 'one' || flag.arity === '?' ? 1 : Number.POSITIVE_INFINITY
  const taken = explicit === undefined ? [] : [explicit]
  let next = from
  while (explicit === undefined && taken.length < most && next < words.length) {
    const word = words[next] as string
    if (looksLikeFlag(word)) break
    taken.push(word)
    next += 1
  }
  if (taken.length === 0 && flag.arity === 'one') return 'expected one argument'
  if (taken.length === 0 && flag.arity === '+') return 'expected at least one argument'
  const converted: (string | number)[] = []
  for (const text of taken) {
    const result = convert(flag, text)
    if ('problem' in result) return result.problem
    converted.push(result.value)
  }
  if (most > 1) return { value: converted, next }
  return { value: converted[0] ?? flag.bare ?? true, next }
}

function convert(flag: Flag, text: string): { value: string | number } | { problem: string } {
  const number = Number(text.trim() === '' ? Number.NaN : text)
  if (flag.type === 'int' && !Number.isInteger(number)) return { problem: `invalid int value: '${text}'` }
  if (flag.type === 'float' && Number.isNaN(number)) return { problem: `invalid float value: '${text}'` }
  if (flag.choices && !flag.choices.includes(text)) {
    const choices = flag.choices.map((choice) => `'${choice}'`).join(', ')
    return { problem: `invalid choice: '${text}' (choose from ${choices})` }
  }
  const problem = flag.refuse?.(text)
  if (problem !== undefined) return { problem }
  return { value: flag.type === 'int' || flag.type === 'float' ? number : text }
}

/** The last occurrence wins, but lists given several times are joined (argparse's `action='append'`). */
function store(values: Map<string, FlagValue>, flag: Flag, value: FlagValue): void {
  const earlier = values.get(flag.name)
  values.set(flag.name, flag.arity === '+' && Array.isArray(earlier) ? earlier.concat(value) : value)
}

/** The usage lines, wrapped and indented as argparse does. */
export function usage(program: string, flags: readonly Flag[]): string {
  const start = `usage: ${program} `
  const parts = ['[-h]', ...flags.map((flag) => `[${[flag.name, ...placeholder(flag)].join(' ')}]`)]
  const lines = [start.trimEnd()]
  for (const part of parts) {
    const last = lines.length - 1
    const line = lines[last] as string
    if (line.length + 1 + part.length <= 78) lines[last] = `${line} ${part}`
    else lines.push(`${' '.repeat(start.length)}${part}`)
  }
  return lines.join('\n')
}

function placeholder(flag: Flag): string[] {
  const name = flag.metavar ?? flag.name.replace(/^-+/, '').replaceAll('-', '_').toUpperCase()
  const word = flag.choices && flag.metavar === undefined ? `{${flag.choices.join(',')}}` : name
  switch (flag.arity) {
    case 'none':
      return []
    case 'one':
      return [word]
    case '?':
      return [`[${word}]`]
    case '*':
      return [`[${word} ...]`]
    case '+':
      return [word, `[${word} ...]`]
  }
}
