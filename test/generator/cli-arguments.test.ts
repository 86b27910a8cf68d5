import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Invocation } from '../../generator/cli/invocation.ts'
import { readArguments } from '../../generator/cli/read-arguments.ts'
import { VERBS, type VerbName, verbOf } from '../../generator/cli/verbs.ts'
import { type FrontResult, readWithYargs } from '../../generator/cli/yargs-front.ts'

const VERB_NAMES = Object.keys(VERBS) as VerbName[]

function withYargs(words: readonly string[]): Promise<FrontResult> {
  return readWithYargs(words, { version: '1.2.3', columns: 80 })
}

async function yargsInvocation(words: readonly string[]): Promise<Invocation | string> {
  const result = await withYargs(words)
  return 'invocation' in result ? result.invocation : 'problem' in result ? result.problem : result.text
}

/** Words that a shell could hand over: options of any verb, values good and bad. Quoted ones, which yargs strips, apart. */
const optionWords = VERB_NAMES.flatMap((verb) => {
  const names = Object.entries(verbOf(verb).options)
  return names.flatMap(([name, { alias }]) => [`--${name}`, ...(alias === undefined ? [] : [`-${alias}`])])
})
const valueWord = fc.constantFrom(
  ...['machine.yaml', '-', 'a b', 'services.nginx.port=81', '0', '8', '99999', 'container', 'local', 'json', 'github'],
  ...['3.2.3.2', 'dot', 'mermaid', 'full', 'true', 'false', '', 'x=y', '-1', '--', 'ümläut', '007', '1e3', '0x10'],
)
const optionWord = fc.oneof(
  fc.constantFrom(...new Set(optionWords)),
  fc.tuple(fc.constantFrom(...new Set(optionWords)), valueWord).map(([option, value]) => `${option}=${value}`),
)
const commandLine = fc.tuple(
  fc.constantFrom(...VERB_NAMES),
  fc.array(fc.oneof({ weight: 3, arbitrary: optionWord }, { weight: 2, arbitrary: valueWord }), { maxLength: 7 }),
)
/** Mostly right ones: options of the verb itself, with values of their kind. */
const plausibleLine = fc.constantFrom(...VERB_NAMES).chain((verb) => {
  const options = Object.entries(verbOf(verb).options).map(([name, option]) => {
    if (option.kind === 'flag') return fc.constant([`--${name}`])
    const value =
      option.kind === 'choice'
        ? fc.constantFrom(...option.choices)
        : option.kind === 'number'
          ? fc.nat(99).map(String)
          : valueWord
    return fc.oneof(
      value.map((text) => [`--${name}`, text]),
      value.map((text) => [`--${name}=${text}`]),
    )
  })
  const parts = [fc.constantFrom(['machine.yaml'], ['-'], ['a', 'b']), ...options]
  return fc.tuple(
    fc.constant(verb),
    fc.array(fc.oneof(...parts), { maxLength: 5 }).map((lists) => lists.flat()),
  )
})

test('what the fast parser understands, yargs understands in the same way', async () => {
  let understood = 0
  await fc.assert(
    fc.asyncProperty(fc.oneof(commandLine, plausibleLine), async ([verb, rest]) => {
      const fast = readArguments([verb, ...rest])
      if (fast === null) return
      understood += 1
      assert.equal(await yargsInvocation([verb, ...rest]), fast)
    }),
    { numRuns: 600 },
  )
  assert.ok(understood > 100, `only ${understood} command lines were understood`)
})

test('what yargs understands and the fast parser does not is a rarer spelling, never another meaning', async () => {
  for (const words of [
    ['render', '--out=o', '--json=true', 'm.yaml'],
    ['render', 'm.yaml', '--out', 'o', '--', 'n.yaml'],
    ['plan', '--simulate', 'false', 'm.yaml'],
  ]) {
    assert.is(readArguments(words), null)
    assert.type(await yargsInvocation(words), 'object', words.join(' '))
  }
})

test('an option value in quotes keeps them', () => {
  const read = readArguments(['plan', '--set', '"my.api"="x"'])
  assert.equal((read as Invocation<'plan'>).values.set, ['"my.api"="x"'])
})

test('every verb has examples that its own options allow', async () => {
  for (const verb of VERB_NAMES) {
    for (const { command } of verbOf(verb).examples) {
      const words = command.replace(/ >>? .*$/, '').split(' ')
      assert.is(words[0], verb)
      const result = await withYargs(words)
      assert.not('problem' in result, `${command}: ${'problem' in result ? result.problem : ''}`)
    }
  }
})

test('the help of every verb has its summary, all its options and an example', async () => {
  for (const verb of VERB_NAMES.filter((name) => name !== 'completion')) {
    const result = await withYargs([verb, '--help'])
    const text = 'text' in result ? result.text.replace(/\s+/g, ' ') : ''
    const { help, options, examples } = verbOf(verb)
    assert.match(text, help)
    for (const name of Object.keys(options)) assert.match(text, `--${name}`)
    for (const { command } of examples) assert.match(text, `machinegen ${command.slice(0, 20)}`)
  }
})

test.run()
