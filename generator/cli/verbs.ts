import type { Options, ValuesOf, Verb } from './option.ts'

/** Which machine: the layers, and what changes them. */
const machine = {
  file: { kind: 'list', alias: 'f', value: 'FILE', help: 'A further layer; a later one wins. "-" is standard input' },
  set: { kind: 'list', value: 'PATH=VALUE', help: 'Change one value: services.comfyui.basePort=9000' },
  env: { kind: 'flag', help: 'Apply the variables of the original machines (NUM_GPUS, ENABLE_OLLAMA, ...)' },
  gpus: { kind: 'number', value: 'N', most: 1024, help: 'How many GPUs "gpu.count: auto" is; default: ask nvidia-smi' },
} as const satisfies Options

/** Where and how it is to run. */
const placement = {
  target: {
    kind: 'choice',
    choices: ['container', 'local', 'compose'],
    initial: 'container',
    help: 'What the tree is for',
  },
  simulate: { kind: 'flag', help: 'Stand-ins in the place of the GPU services' },
  'port-offset': { kind: 'number', value: 'N', most: 65_535, help: 'Add N to every port' },
  root: { kind: 'text', value: 'DIR', help: 'Where a container has the tree, if not at /' },
  'state-dir': { kind: 'text', value: 'DIR', help: 'Where a local machine keeps everything' },
} as const satisfies Options

const findings = {
  format: {
    kind: 'choice',
    choices: ['pretty', 'json', 'github'],
    initial: 'pretty',
    help: 'How findings are printed',
  },
} as const satisfies Options

const quiet = {
  quiet: { kind: 'flag', alias: 'q', help: 'Say nothing but findings and results' },
} as const satisfies Options
const out = {
  out: { kind: 'text', alias: 'o', value: 'DIR', required: true, help: 'Root of the tree' },
} as const satisfies Options
const json = { json: { kind: 'flag', help: 'Print JSON' } } as const satisfies Options
const strict = { strict: { kind: 'flag', help: 'Exit with 1 for warnings too' } } as const satisfies Options

const layers = {
  name: 'machine',
  help: 'Machine files, lowest layer first; default: ./machine.yaml',
  count: 'many',
} as const

/** Every verb of the command line. The only place that says what there is. */
export const VERBS = {
  init: {
    help: 'Write a small machine file to start from',
    words: { name: 'path', help: 'Directory or file; default: ./machine.yaml', count: 'optional' },
    options: {
      example: { kind: 'choice', choices: ['small', 'full'], initial: 'small', help: 'How much of a machine' },
      force: { kind: 'flag', help: 'Replace a file that is there' },
      ...quiet,
    },
    examples: [{ command: 'init', does: 'write ./machine.yaml and its schema for the editor' }],
  },
  validate: {
    help: 'Find everything that is wrong with a machine',
    words: layers,
    options: { ...machine, ...placement, ...strict, ...findings, ...quiet },
    examples: [
      { command: 'validate machine.yaml', does: 'print all findings' },
      { command: 'validate -f base.yaml -f prod.yaml --format github', does: 'annotate a pull request' },
    ],
  },
  render: {
    help: 'Write the tree of a machine',
    words: layers,
    options: {
      ...out,
      ...machine,
      ...placement,
      check: { kind: 'flag', help: 'Write nothing; list what differs, and exit with 1 if anything does' },
      'dry-run': { kind: 'flag', help: 'Write nothing; list what would be written' },
      watch: { kind: 'flag', help: 'Render again whenever a layer is saved' },
      force: { kind: 'flag', help: 'Replace files that machinegen did not write' },
      json: { kind: 'flag', help: 'Print the files of the tree as JSON' },
      ...findings,
      ...quiet,
    },
    conflicts: [
      ['check', 'dry-run'],
      ['check', 'watch'],
      ['dry-run', 'watch'],
      ['json', 'watch'],
    ],
    examples: [
      { command: 'render machine.yaml --out rootfs', does: 'write the tree, touching only what changed' },
      { command: 'render machine.yaml --out rootfs --check', does: 'exit with 1 if the tree is not up to date' },
    ],
  },
  diff: {
    help: 'Show what a render would change, as a patch',
    words: layers,
    options: { ...out, ...machine, ...placement, ...findings },
    examples: [
      { command: 'diff machine.yaml --out rootfs', does: 'print a unified diff; exit with 1 if there is one' },
    ],
  },
  plan: {
    help: 'Show what will run: services, ports, routes, order',
    words: layers,
    options: { ...machine, ...placement, ...json, ...findings },
    examples: [{ command: 'plan machine.yaml', does: 'print a table of the services' }],
  },
  explain: {
    help: 'Say where each value of a service or a port comes from',
    words: {
      name: 'name',
      help: 'A service, its key, a bundle or a port; machine files after it',
      count: 'one and more',
    },
    options: { ...machine, ...placement, ...json, ...findings },
    examples: [
      { command: 'explain comfyui-gpu1', does: 'every value of one service, and who decided it' },
      { command: 'explain 8189 machine.yaml', does: 'who has this port, and why' },
    ],
  },
  graph: {
    help: 'Draw what waits for what, and the order of the stop',
    words: layers,
    options: {
      format: { kind: 'choice', choices: ['mermaid', 'dot'], initial: 'mermaid', help: 'Language of the drawing' },
      ...machine,
      ...placement,
    },
    examples: [{ command: 'graph machine.yaml --format dot', does: 'print a drawing for Graphviz' }],
  },
  schema: {
    help: 'Print the JSON Schema of machine files',
    options: {},
    examples: [{ command: 'schema > machine.schema.json', does: 'give an editor what it needs to complete' }],
  },
  check: {
    help: 'Lint a tree of s6-rc sources, whoever made it',
    words: { name: 'dir', help: 'A root file system, an s6-overlay profile or a source directory', count: 'one' },
    options: {
      's6-overlay': {
        kind: 'text',
        value: 'VERSION',
        form: { pattern: /^\d+(\.\d+)*$/, words: 'a version like 3.2.3.2' },
        help: 'Version that the tree is for',
      },
      'rules-only': { kind: 'flag', help: 'Do not ask the s6-rc-compile of this host too' },
      ...strict,
      ...findings,
      ...quiet,
    },
    examples: [{ command: 'check rootfs', does: 'print all that s6 would stumble over' }],
  },
  apply: {
    help: 'Make the machine in this container the one of its machine file, as it is now',
    words: layers,
    options: {
      file: machine.file,
      set: machine.set,
      gpus: machine.gpus,
      'dry-run': { kind: 'flag', help: 'Change nothing; list files and services that would change' },
      json: { kind: 'flag', help: 'Print the changes as JSON' },
      ...findings,
    },
    examples: [
      { command: 'apply --dry-run', does: 'list what would be written, started, restarted and reloaded' },
      { command: 'apply', does: 'change what differs, and restart only services that became others' },
    ],
  },
  up: {
    help: 'Run a machine on this host, supervised, until Ctrl-C',
    words: layers,
    options: {
      ...machine,
      simulate: placement.simulate,
      'port-offset': placement['port-offset'],
      'state-dir': { kind: 'text', value: 'DIR', help: 'Where it keeps everything; default: ./.machine/<machine id>' },
      ...findings,
    },
    examples: [{ command: 'up machine.yaml --simulate --port-offset 10000', does: 'try a machine without its GPUs' }],
  },
  lock: {
    help: 'Write the sizes and hashes of all models beside the machine file; asks their sources',
    words: layers,
    options: {
      ...machine,
      check: { kind: 'flag', help: 'Write nothing; exit with 1 if the sources have something else' },
      ...findings,
      ...quiet,
    },
    examples: [{ command: 'lock machine.yaml', does: 'write machine.lock.json, which renders keep to' }],
  },
  watch: {
    help: 'Show the machines that announce themselves in a Redis, live; without a terminal, their events',
    options: {
      redis: {
        kind: 'text',
        value: 'URL',
        help: 'Which Redis; default: $HUB_REDIS_URL, which no list of processes shows',
      },
      'certificate-authority': { kind: 'text', value: 'FILE', help: 'Whom to trust for rediss://, in PEM' },
      machine: { kind: 'text', alias: 'm', value: 'ID', help: 'Only this machine, with its services' },
      json: { kind: 'flag', help: 'Events as JSON lines on a terminal too' },
      once: { kind: 'flag', help: 'What is there now, and end' },
      since: {
        kind: 'text',
        value: 'WHEN',
        help: 'Events from then on: 10m, a time, 0 for all; with --machine, after an event; default: 10m',
      },
      type: { kind: 'list', alias: 't', value: 'TYPE', help: 'Only events of this type: service.failed, provision.*' },
      service: {
        kind: 'list',
        alias: 's',
        value: 'NAME',
        help: 'Only events of this service: comfyui-gpu0, comfyui-*',
      },
    },
    examples: [
      { command: 'watch', does: 'a table of all machines of $HUB_REDIS_URL, until q' },
      { command: 'watch --json --type service.failed --since 1d --once', does: 'print what failed today' },
    ],
  },
  completion: {
    help: 'Print a completion script',
    words: { name: 'shell', help: 'Default: the one of $SHELL', count: 'optional', choices: ['bash', 'zsh'] },
    options: {},
    examples: [{ command: 'completion bash >> ~/.bashrc', does: 'complete verbs and options in bash' }],
  },
} as const satisfies Readonly<Record<string, Verb>>

export type VerbName = keyof typeof VERBS

export type VerbValues<Name extends VerbName> = ValuesOf<(typeof VERBS)[Name]['options']>

export function isVerb(word: string): word is VerbName {
  return Object.hasOwn(VERBS, word)
}

/** The same as data, for code that treats all verbs alike. */
export function verbOf(name: VerbName): Verb {
  return VERBS[name]
}
