import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { formatDotenv, quoteDotenv } from '../../runtime/provision/dotenv.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const VALUES = [
  '',
  'redis://user:p%40ss@host:6379/0',
  'two words',
  ' space around ',
  '# not a comment',
  'a#b',
  '$HOME ${HOME} $(id) `id`',
  'a "quoted" word',
  "it's",
  "it's # two",
  'first\nsecond\n\nB=4',
  'back\\slash \\n',
  '~/home',
  'ünïcødé ☃',
  '!history',
  '\ttab',
  'a;b&c|d<e>f(g)',
]

const entries = VALUES.map((value, index) => ({ key: `KEY_${index}`, value }))

function format(list: { key: string; value: string }[]): string {
  const file = formatDotenv(list)
  assert.ok('text' in file)
  return file.text
}

test('values come back through the parser of Node', () => {
  assert.equal(parseEnv(format(entries)), Object.fromEntries(entries.map(({ key, value }) => [key, value])))
})

test('values come back through node --env-file', () => {
  const file = `${temporaryDirectory()}/.env`
  writeFileSync(file, format(entries))
  const script = `console.log(JSON.stringify(Object.keys(process.env).filter((k) => k.startsWith('KEY_')).map((k) => [k, process.env[k]])))`
  const answer = execFileSync(process.execPath, [`--env-file=${file}`, '-e', script], { env: {}, encoding: 'utf8' })
  assert.equal(
    Object.fromEntries(JSON.parse(answer)),
    Object.fromEntries(entries.map(({ key, value }) => [key, value])),
  )
})

test('values come back through a shell that sources the file', () => {
  const file = `${temporaryDirectory()}/env`
  writeFileSync(file, format(entries))
  const names = entries.map(({ key }) => `"$${key}"`).join(' ')
  const answer = execFileSync('/bin/sh', ['-c', `. "$1"; printf '%s\\0' ${names}`, 'sh', file], { encoding: 'utf8' })
  assert.equal(answer.split('\0').slice(0, -1), VALUES)
})

/** The expression by which npm's dotenv reads a line, and what it does with what it finds (its documented rules). */
function parseAsNpmDotenv(text: string): Record<string, string> {
  const line =
    /^\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?$/gm
  const found: Record<string, string> = {}
  for (const [, key, raw = ''] of text.replace(/\r\n?/g, '\n').matchAll(line)) {
    const value = raw.trim()
    const unquoted = value.replace(/^(['"`])([\s\S]*)\1$/, '$2')
    found[key!] = value.startsWith('"') ? unquoted.replace(/\\n/g, '\n').replace(/\\r/g, '\r') : unquoted
  }
  return found
}

test('any value is refused, or comes back through Node and the rules of npm dotenv as it went in', () => {
  const value = fc.string({ unit: fc.constantFrom(...' \'"`$\\#=\n\r\0!~aZ9é\t{}()'.split('')), maxLength: 12 })
  fc.assert(
    fc.property(value, (text) => {
      const quoted = quoteDotenv(text)
      if ('refusal' in quoted) return
      const file = `A=${quoted.text}\nB='the end'\n`
      assert.equal(parseEnv(file), { A: text, B: 'the end' })
      assert.equal(parseAsNpmDotenv(file), { A: text, B: 'the end' })
    }),
  )
})

test('any value that is not refused comes back through a shell', () => {
  const value = fc.string({ unit: fc.constantFrom(...' \'"`$\\#=\n!~aZ9é\t{}()'.split('')), maxLength: 12 })
  const accepted = fc.sample(value, { numRuns: 300, seed: 42 }).filter((text) => 'text' in quoteDotenv(text))
  const file = `${temporaryDirectory()}/env`
  writeFileSync(file, format(accepted.map((text, index) => ({ key: `K${index}`, value: text }))))
  const names = accepted.map((_, index) => `"$K${index}"`).join(' ')
  const { stdout } = spawnSync('/bin/sh', ['-c', `. "$1"; printf '%s\\0' ${names}`, 'sh', file], { encoding: 'utf8' })
  assert.equal(stdout.split('\0').slice(0, -1), accepted)
})

test('what no reader or not every reader takes as it is is refused, without telling the value', () => {
  for (const value of ['a\0b', 'a\rb', 'a b\\', 'it\'s "x"', "it's $HOME", "it's\nmore"]) {
    const quoted = quoteDotenv(value)
    assert.ok('refusal' in quoted, JSON.stringify(value))
    assert.not(quoted.refusal.includes(value))
  }
  assert.equal(formatDotenv([{ key: 'not a name', value: 'x' }]), {
    refusals: ['cannot write "not a name": it is not a variable name'],
  })
})

test.run()
