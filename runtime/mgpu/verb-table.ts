/** Names by which the program is called; each has its own verbs. */
export const PROGRAM_NAMES = ['mgpu', 'wgpu', 'service', 'mcomfy'] as const

export type ProgramName = (typeof PROGRAM_NAMES)[number]

export type OptionName =
  | 'plan'
  | 'machine'
  | 'help'
  | 'json'
  | 'wait'
  | 'no-wait'
  | 'reason'
  | 'lines'
  | 'follow'
  | 'no-follow'
  | 'level'
  | 'grep'
  | 'since'

export interface VerbSpec {
  readonly summary: string
  readonly programs: readonly ProgramName[]
  readonly options: readonly OptionName[]
  /** What may stand behind the verb. `word`: one of `words`. */
  readonly takes: 'services' | 'nothing' | 'word'
  readonly words?: readonly string[]
}

const EVERYWHERE: readonly ProgramName[] = ['mgpu', 'wgpu', 'service']
const OPERATION: readonly OptionName[] = ['wait', 'no-wait', 'reason', 'json']

export const VERBS = {
  start: verb('start services and wait until they are ready', EVERYWHERE, OPERATION),
  stop: verb('stop services and wait until they are down; they stay so until somebody starts them', EVERYWHERE, [
    'reason',
    'json',
  ]),
  restart: verb('stop services, then start them and wait until they are ready', EVERYWHERE, OPERATION),
  status: verb('show the services; 0 only if all of them are ready', EVERYWHERE, ['json']),
  logs: verb('show the logs of services, merged in the order of time, and follow them', EVERYWHERE, [
    'lines',
    'follow',
    'no-follow',
    'level',
    'grep',
    'since',
    'json',
  ]),
  tail: verb('follow the log of one service', EVERYWHERE, ['lines', 'level', 'grep', 'since', 'json']),
  rotate: verb('close the log files of services, so that they begin new ones', EVERYWHERE, []),
  setup: verb('make directories, links, secrets and credential files again', EVERYWHERE, []),
  count: machineVerb('print the number of GPUs', ['mgpu', 'wgpu'], ['json']),
  update: machineVerb('fetch the worker package anew and switch to it', ['mgpu', 'wgpu'], []),
  rollback: machineVerb('switch back to the worker package before', ['mgpu', 'wgpu'], []),
  websocket: verb('show the last heartbeat of each worker', ['wgpu'], ['json']),
  top: machineVerb('show services, GPUs, memory and queues on a live screen', ['mgpu'], []),
  events: machineVerb('show what happened on the machine', ['mgpu'], ['lines', 'follow', 'since', 'json']),
  doctor: machineVerb('say what is wrong and what to do about it', ['mgpu'], ['json']),
  nodes: machineVerb('list the custom nodes with their state', ['mcomfy'], ['json']),
  models: machineVerb('list the models with their state', ['mcomfy'], ['json']),
  completion: {
    summary: 'print the completion for a shell',
    programs: ['mgpu'],
    options: [],
    takes: 'word',
    words: ['bash', 'zsh'],
  },
} as const satisfies Readonly<Record<string, VerbSpec>>

export type Verb = keyof typeof VERBS

export const verbNames = Object.keys(VERBS) as readonly Verb[]

/** The verbs of a program, in the order in which help shows them. */
export function verbsOf(program: ProgramName): readonly Verb[] {
  return verbNames.filter((name) => specOf(name).programs.includes(program))
}

export function specOf(name: Verb): VerbSpec {
  return VERBS[name]
}

function verb(summary: string, programs: readonly ProgramName[], options: readonly OptionName[]): VerbSpec {
  return { summary, programs, options, takes: 'services' }
}

function machineVerb(summary: string, programs: readonly ProgramName[], options: readonly OptionName[]): VerbSpec {
  return { summary, programs, options, takes: 'nothing' }
}
