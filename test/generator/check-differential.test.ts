import { rmSync } from 'node:fs'
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { findingsOf } from '../../generator/check/check-tree.ts'
import { compilationsOf } from '../../generator/check/compilations.ts'
import { compilationVerdict, compileVerdict } from '../../generator/check/compile-verdict.ts'
import { readSourceTree } from '../../generator/check/read-source-tree.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { type Files, longrun, writeTree } from './check-files.ts'

/** MACHINEGEN_CHECK_RUNS=20000 makes a long search of it. */
const RUNS = Number(process.env.MACHINEGEN_CHECK_RUNS ?? 300)
const NAMES = ['a', 'b', 'c', 'd', 'log']

const oneOf = <Value>(...values: Value[]) => fc.constantFrom(...values)
/** The first arbitrary most of the time, so that a tree is not refused for everything at once. */
const mostly = <Value>(usual: fc.Arbitrary<Value>, rare: fc.Arbitrary<Value>) =>
  fc.oneof({ arbitrary: usual, weight: 40 }, { arbitrary: rare, weight: 1 })
const absent = fc.constant(undefined)
const rarely = <Value>(value: fc.Arbitrary<Value>) => mostly<Value | undefined>(absent, value)
const sometimes = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined, freq: 2 })

const name = mostly(oneOf(...NAMES), oneOf('ghost', 's6rc-x', 'a\r', 'pipe'))
const lines = (names: readonly string[]) => names.map((one) => `${one}\n`).join('')
const nameFile = (limits: { minLength: number; maxLength: number }) =>
  mostly(fc.array(name, limits).map(lines), oneOf('', '\n', '# none\n', 'a', ' a\n\tb\n', 'a \n', 'a\0b\n', 'a\r\n'))
const number = mostly(
  oneOf('0', '3\n', '2000\n', '4294967295\n'),
  oneOf(
    '',
    '\n',
    '5s\n',
    ' 5\n',
    '5 \n',
    '5\n\n',
    '5\n6\n',
    '-1\n',
    '4294967296\n',
    '00000000012\n',
    '5\0x',
    '5\r\n',
    '٣\n',
  ),
)
const descriptor = mostly(oneOf('3\n', '4\n', '5'), oneOf('0\n', '2\n', '2', 'x', ''))
const type = (kind: string) =>
  mostly(
    oneOf(`${kind}\n`, kind),
    oneOf(
      '',
      'x\n',
      `${kind}\r\n`,
      `${kind}\n\n`,
      `${kind}\nx`,
      `\uFEFF${kind}\n`,
      ` ${kind}\n`,
      `${kind}\0`,
      `${kind} \n`,
    ),
  )
const commandLine = mostly(
  oneOf('true\n', '', 'foreground { echo "a" }\ntrue\n', '# nothing\n', '#!/bin/sh\necho a && b\n'),
  fc
    .array(oneOf('{', '}', ' ', '\n', '"', '\\', 'x', '0', '7', 'a', '#', '{ ', '} ', '\\0', '\0'), { maxLength: 8 })
    .map((parts) => parts.join('')),
)
const anything = oneOf('', 'x\n', '-> nowhere', '-> type')

const dependencies = {
  'dependencies.d': sometimes(fc.array(name, { maxLength: 2 })),
  dependencies: rarely(nameFile({ minLength: 0, maxLength: 2 })),
  'timeout-up': sometimes(number),
  'timeout-down': rarely(number),
  'flag-essential': rarely(anything),
}

const KINDS = {
  longrun: {
    ...dependencies,
    run: mostly<string | undefined>(oneOf('#!/bin/sh\n', ''), oneOf('-> nowhere', '-> type', undefined)),
    finish: rarely(anything),
    'notification-fd': sometimes(descriptor),
    'lock-fd': rarely(descriptor),
    'timeout-kill': sometimes(number),
    'timeout-finish': rarely(number),
    'max-death-tally': rarely(number),
    'down-signal': rarely(anything),
    'flag-newpidns': rarely(anything),
    'producer-for': rarely(nameFile({ minLength: 1, maxLength: 1 })),
    'consumer-for': rarely(nameFile({ minLength: 1, maxLength: 2 })),
    'pipeline-name': rarely(mostly(oneOf('pipe\n', 'other'), nameFile({ minLength: 0, maxLength: 2 }))),
    env: rarely(anything),
    'data/check': rarely(anything),
  },
  oneshot: {
    ...dependencies,
    up: mostly<string | undefined>(commandLine, oneOf('-> nowhere', '-> type', undefined)),
    down: sometimes(commandLine),
    reload: rarely(commandLine),
    'notification-fd': rarely(descriptor),
  },
  bundle: {
    'contents.d': mostly<string[] | undefined>(fc.uniqueArray(name, { maxLength: 3 }), absent),
    contents: rarely(nameFile({ minLength: 0, maxLength: 3 })),
    'dependencies.d': rarely(fc.array(name, { maxLength: 2 })),
    'timeout-up': rarely(number),
  },
}

type Content = string | string[] | undefined
const service: fc.Arbitrary<Record<string, Content>> = fc.oneof(
  ...(['longrun', 'longrun', 'oneshot', 'bundle'] as const).map((kind) =>
    fc.record<Record<string, Content>>({
      ...(KINDS[kind] as Record<string, fc.Arbitrary<Content>>),
      type: mostly<Content>(type(kind), oneOf(undefined, '-> nowhere')),
    }),
  ),
)

type Services = Record<string, Record<string, Content>>
const source: fc.Arbitrary<Services> = fc
  .tuple(
    fc.dictionary(mostly(oneOf(...NAMES), oneOf('s6-rc-y', 'pipe', '.hidden')), service, { minKeys: 1, maxKeys: 5 }),
    fc.integer({ max: 3, min: 0 }),
  )
  .map(([services, wildness]) => (wildness === 0 ? services : tame(services)))

/** Keeps references to services that exist and come earlier: chance alone makes hardly a tree without a cycle. */
function tame(services: Services): Services {
  const keeps = (name: string) => (reference: string) => reference in services && reference < name
  const entries = Object.entries(services).map(([name, files]) => {
    const lists = Object.entries(files).map(([file, content]) =>
      Array.isArray(content) ? [file, content.filter(keeps(name))] : [file, content],
    )
    const { dependencies, contents, ...rest } = Object.fromEntries(lists) as Record<string, Content>
    return [name, rest.type?.includes('bundle') ? { 'contents.d': [], ...rest } : rest] as const
  })
  return Object.fromEntries(entries)
}

/** Gives `log` a producer that names it, and what it takes: chance alone builds no pipelines. */
const piped: fc.Arbitrary<Services> = fc.tuple(source, fc.boolean(), fc.boolean()).map(([services, wanted, named]) => {
  const { a, log } = services
  if (!wanted || a === undefined || log === undefined || !('run' in a) || !('run' in log)) return services
  const name = named ? 'pipe' : undefined
  const consumer = { 'consumer-for': 'a\n', 'dependencies.d': [], 'producer-for': undefined, 'pipeline-name': name }
  const producer = { 'producer-for': 'log\n', 'consumer-for': undefined }
  return { ...services, a: { ...a, ...producer }, log: { ...log, ...consumer } }
})

function filesOf(services: Services): Files {
  const files: Files = {}
  for (const [name, contents] of Object.entries(services)) {
    files[`${name}/`] = ''
    for (const [file, content] of Object.entries(contents)) {
      if (typeof content === 'string') files[`${name}/${file}`] = content
      if (!Array.isArray(content)) continue
      files[`${name}/${file}/`] = ''
      for (const entry of content) files[`${name}/${file}/${entry}`] = ''
    }
  }
  return files
}

const under = (directory: string, files: Files) =>
  Object.fromEntries(Object.entries(files).map(([path, text]) => [`${directory}/${path}`, text]))

const OVERLAY = ['base', 'legacy-services', 'user', 'top', ...NAMES]
const profile = fc
  .record({
    services: piped,
    legacy: sometimes(fc.uniqueArray(oneOf(...NAMES, 'ghost'), { maxLength: 3 })),
    bundles: sometimes(fc.uniqueArray(oneOf(...NAMES), { maxLength: 3 })),
    after: fc.array(fc.tuple(oneOf(...NAMES), oneOf(...OVERLAY)), { maxLength: 4 }),
  })
  .map(({ services, legacy, bundles, after }) => {
    const files = under('s6-rc.d', filesOf(services))
    for (const name of legacy ?? []) files[`s6-rc.d/user/contents.d/${name}`] = ''
    for (const name of bundles ?? []) files[`user-bundles.d/user/contents.d/${name}`] = ''
    for (const [from, to] of after) {
      const contents = services[from]
      if (contents !== undefined && Array.isArray(contents['dependencies.d']))
        files[`s6-rc.d/${from}/dependencies.d/${to}`] = ''
    }
    return { 's6-rc.d/': '', ...files }
  })

const trees = fc.oneof(
  { arbitrary: piped.map(filesOf), weight: 3 },
  {
    arbitrary: fc
      .tuple(piped, source)
      .map(([one, two]) => ({ ...under('one', filesOf(one)), ...under('two', filesOf(two)) })),
    weight: 1,
  },
  { arbitrary: profile, weight: 2 },
)

const canCompile = compileVerdict([writeTree(longrun('a'))]).available
if (!canCompile) console.log('s6-rc-compile is not on PATH: random trees are checked, but not compared with it')

test('random trees get the verdict that s6-rc-compile gives them', () => {
  let [accepted, refused] = [0, 0]
  const property = fc.property(trees, (files) => {
    const directory = writeTree(files, temporaryDirectory())
    try {
      const tree = readSourceTree(directory)
      const findings = findingsOf(tree)
      const ours = !findings.some((finding) => finding.rejects)
      const compilations = compilationsOf(tree, undefined).filter(({ services }) => services.length > 0)
      const verdicts = canCompile ? compilations.map((one) => compilationVerdict(directory, one)) : []
      for (const verdict of verdicts) {
        const codes = findings.filter((finding) => finding.rejects).map((finding) => finding.diagnostic.message)
        const text = verdict.available ? verdict.message : 'no verdict'
        assert.is(verdict.available && verdict.accepted, ours, `s6-rc-compile: ${text}\nours: ${codes.join('\n')}`)
        if (ours) accepted += 1
        else refused += 1
      }
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
  fc.assert(property, { numRuns: RUNS })
  if (canCompile) console.log(`${accepted} trees accepted and ${refused} refused, by both`)
})

test.run()
