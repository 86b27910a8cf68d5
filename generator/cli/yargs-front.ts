import yargs, { type Argv, type Options as YargsOptions } from 'yargs'
import { checkInvocation, type Invocation, type UsageProblem } from './invocation.ts'
import type { Option, Verb } from './option.ts'
import { findUnknownWord } from './suggest.ts'
import { VERBS, type VerbName, verbOf } from './verbs.ts'

/** What a command line that is not plainly well-formed comes to. */
export type FrontResult =
  | { readonly invocation: Invocation }
  /** Help, version or completions. */
  | { readonly text: string }
  | UsageProblem

/** Wider lines are hard to read, whatever the terminal. */
const MAX_COLUMNS = 100

export interface FrontOptions {
  readonly version: string
  /** Of the terminal. */
  readonly columns: number
}

/**
 * Reads a command line with yargs: strict, and with all that it can explain. Runs nothing, and prints nothing but what a
 * shell asks for to complete a line.
 */
export async function readWithYargs(typed: readonly string[], options: FrontOptions): Promise<FrontResult> {
  const words = chooseShell(typed)
  let parsed: Parsed | null = null
  const parser = createParser(words, options, (found) => {
    parsed = found
  })
  if (words[0] === COMPLETION_REQUEST) {
    // Completions come from within the parser, which writes them itself.
    await parser.parse()
    return { text: '' }
  }
  const { error, text } = await parse(parser, words)
  if (error !== null) return findUnknownWord(words) ?? problemOf(error)
  return parsed === null ? { text } : resultOf(parsed, words)
}

/** What completion scripts call. */
const COMPLETION_REQUEST = '--get-yargs-completions'

interface Parsed {
  readonly verb: VerbName
  readonly argv: Record<string, unknown>
}

function createParser(words: readonly string[], options: FrontOptions, found: (parsed: Parsed) => void): Argv {
  const parser = globalOptions(yargs(words as string[]), options.version, Math.min(options.columns, MAX_COLUMNS))
  for (const verb of Object.keys(VERBS) as VerbName[]) {
    if (verb === 'completion') continue
    parser.command(
      usageOf(verb),
      VERBS[verb].help,
      (command) => verbOptions(command, verb),
      (argv) => found({ verb, argv }),
    )
  }
  return parser
}

/** yargs writes its completion for the shell of $SHELL; a shell that is named goes there. */
function chooseShell(words: readonly string[]): readonly string[] {
  const [verb, shell = '', ...rest] = words
  const { choices } = VERBS.completion.words
  if (verb !== 'completion' || !choices.some((choice) => choice === shell)) return words
  process.env.SHELL = shell
  delete process.env.ZSH_NAME
  return ['completion', ...rest]
}

/** Stands for `-`, which yargs would drop. */
const STANDARD_INPUT = '\u0001stdin'

function parse(parser: Argv, words: readonly string[]): Promise<{ error: string | null; text: string }> {
  const shielded = words.map((word) => (word === '-' ? STANDARD_INPUT : word))
  return new Promise((resolve) => {
    try {
      void parser.parse(shielded, {}, (error, _argv, output) =>
        resolve({ error: error ? error.message : null, text: output === '' ? '' : `${output}\n` }),
      )
    } catch (error) {
      resolve({ error: (error as Error).message, text: '' })
    }
  })
}

function globalOptions(parser: Argv, version: string, columns: number): Argv {
  return parser
    .scriptName('machinegen')
    .usage('$0 <command>\n\nOne file describes a GPU machine; this proves it right and makes it run.')
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'short-option-groups': false,
    })
    .locale('en')
    .version(version)
    .help()
    .alias('help', 'h')
    .completion('completion', `${VERBS.completion.help} (bash, zsh)`)
    .strict()
    .demandCommand(1, 'cannot go on without a command')
    .recommendCommands()
    .showHelpOnFail(false)
    .exitProcess(false)
    .epilogue('Exit codes: 0 done, 1 findings or drift, 2 usage, 3 system or internal')
    .wrap(columns)
}

/** `render [machine..]` */
function usageOf(verb: VerbName): string {
  const { words }: Verb = VERBS[verb]
  if (words === undefined) return verb
  const form = {
    optional: `[${words.name}]`,
    // Optional for yargs: that one is missing is said in the words of the other messages.
    one: `[${words.name}]`,
    'one and more': `[${words.name}..]`,
    many: `[${words.name}..]`,
  }
  return `${verb} ${form[words.count]}`
}

function verbOptions(command: Argv, verb: VerbName): Argv {
  const { words, options, examples } = verbOf(verb)
  if (words !== undefined) command.positional(words.name, { describe: words.help, type: 'string' })
  for (const [name, option] of Object.entries(options)) command.option(name, yargsOption(option))
  return command.example(examples.map(({ command, does }): [string, string] => [`$0 ${command}`, does]))
}

function yargsOption(option: Option): YargsOptions {
  const common = { describe: option.help, ...(option.alias === undefined ? {} : { alias: option.alias }) }
  switch (option.kind) {
    case 'flag':
      return { ...common, type: 'boolean' }
    case 'choice':
      return { ...common, type: 'string', nargs: 1, describe: choiceHelp(option.help, option) }
    case 'list':
      return {
        ...common,
        type: 'string',
        array: true,
        nargs: 1,
        describe: `${option.help} [${option.value}, repeatable]`,
      }
    default:
      return { ...common, type: 'string', nargs: 1, describe: `${option.help} [${option.value}]` }
  }
}

function choiceHelp(
  help: string,
  { choices, initial }: { readonly choices: readonly string[]; readonly initial?: string },
) {
  return `${help} [${choices.join(' | ')}${initial === undefined ? '' : `; default: ${initial}`}]`
}

function resultOf({ verb, argv }: Parsed, words: readonly string[]): FrontResult {
  const { options, words: spec } = verbOf(verb)
  const given = new Map<string, string[]>()
  for (const [name, { kind }] of Object.entries(options)) {
    const value = argv[name]
    if (value === undefined || value === false) continue
    given.set(name, kind === 'flag' && value === true ? [] : textsOf(value))
  }
  // What yargs leaves over comes after the command and its own words.
  const rest = textsOf(argv._ ?? []).slice(1)
  const plain = [...textsOf(spec === undefined ? [] : (argv[spec.name] ?? [])), ...rest]
  const invocation = checkInvocation({ verb, words: plain, given })
  return 'problem' in invocation ? (findUnknownWord(words) ?? invocation) : { invocation }
}

function textsOf(value: unknown): string[] {
  return [value].flat().map((text) => (text === STANDARD_INPUT ? '-' : String(text)))
}

/** What yargs found, in the words of the other messages. */
function problemOf(message: string): UsageProblem {
  const [first = '', ...more] = message.split('\n').filter((line) => line.trim() !== '')
  const valueless = /^Not enough arguments following: (.*)$/.exec(first)
  if (valueless !== null) return { problem: `cannot use --${valueless[1]} without a value` }
  const problem = first.startsWith('cannot')
    ? first
    : `cannot read the command line: ${first.charAt(0).toLowerCase()}${first.slice(1)}`
  return more.length === 0 ? { problem } : { problem, hint: more.join(' ') }
}
