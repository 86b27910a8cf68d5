import { type OptionName, type ProgramName, specOf, type Verb, verbsOf } from './verb-table.ts'

const OPTION_HELP: Readonly<Record<OptionName, readonly [string, string]>> = {
  plan: ['--plan FILE', 'plan of the machine; else $MACHINE_PLAN, this container, or .machine/ below this directory'],
  machine: ['--machine NAME', 'which of several machines in .machine/'],
  help: ['-h, --help', 'show this'],
  json: ['--json', 'print JSON'],
  wait: ['--wait DURATION', 'how long a start may take ("90s"); else what the machine file allows'],
  'no-wait': ['--no-wait', 'do not wait until it is ready'],
  reason: ['--reason TEXT', 'why, for the events'],
  lines: ['-n, --lines N', 'begin with the last N'],
  follow: ['-f, --follow', 'go on with what comes'],
  'no-follow': ['--no-follow', 'end with the last line; also "no-follow", or -n alone'],
  level: ['--level LEVEL', 'debug, info, warn or error, and what is graver'],
  grep: ['--grep TEXT', 'only what contains this, or matches /this/'],
  since: ['--since TIME', 'only what came since then: "10m", "2026-01-31T12:00:00Z"'],
}

const USAGE: Readonly<Record<ProgramName, string>> = {
  mgpu: 'mgpu [SERVICE] COMMAND [GPU|all] [OPTIONS]',
  wgpu: 'wgpu COMMAND [GPU|all] [OPTIONS]',
  service: 'service SERVICE COMMAND [GPU|all] [OPTIONS]',
  mcomfy: 'mcomfy nodes|models [OPTIONS]',
}

const SERVICES = `SERVICE is comfyui, a1111, worker, ollama, nginx, sidecar, a service of your own, one of its instances
(comfyui-gpu0) or all on a GPU (gpu0); without it, all services.`

const FOOTER = `Exit codes: 0 done, 1 something is not as it should be, 2 wrong command line, 3 it failed itself.`

/** The help of a program, or of one of its verbs. */
export function formatHelp(program: ProgramName, verb: Verb | null): string {
  return verb === null ? programHelp(program) : verbHelp(program, verb)
}

function programHelp(program: ProgramName): string {
  const verbs = verbsOf(program).map((name) => [name, specOf(name).summary] as const)
  const about = program === 'mcomfy' ? [] : ['', SERVICES]
  const common = (['plan', 'machine'] as const).map((name) => OPTION_HELP[name])
  const more = `${program} help COMMAND shows the options of a command.`
  return [
    `usage: ${USAGE[program]}`,
    '',
    ...aligned(verbs),
    ...about,
    '',
    ...aligned(common),
    '',
    more,
    FOOTER,
    '',
  ].join('\n')
}

function verbHelp(program: ProgramName, verb: Verb): string {
  const { summary, options, takes, words = [] } = specOf(verb)
  const behind = takes === 'services' ? ' [GPU|all]' : takes === 'word' ? ` ${words.join('|')}` : ''
  const before = program === 'service' ? ' SERVICE' : program === 'mgpu' && takes === 'services' ? ' [SERVICE]' : ''
  const shown = [...options, 'plan' as const, 'machine' as const].map((name) => OPTION_HELP[name])
  return [`usage: ${program}${before} ${verb}${behind} [OPTIONS]`, '', `${summary}`, '', ...aligned(shown), ''].join(
    '\n',
  )
}

function aligned(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
