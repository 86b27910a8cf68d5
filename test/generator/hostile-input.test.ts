import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { formatDiagnostics } from '../../generator/diagnostics/format.ts'
import { brief, load } from './load-fixture.ts'

/** The promise is one second on an idle machine. Time of the CPU, which others that run here stretch less. */
const TIME_LIMIT_MS = 4000
const MEMORY_LIMIT_BYTES = 200 * 1024 * 1024
const TEXT_LIMIT = 2 * 1024 * 1024 - 100

/** Fills a text up to just under the size limit. */
function filled(start: string, repeat: string | ((index: number) => string), limit = TEXT_LIMIT): string {
  const parts = [start]
  for (let index = 0, length = start.length; ; index += 1) {
    const part = typeof repeat === 'string' ? repeat : repeat(index)
    length += part.length
    if (length > limit) return parts.join('')
    parts.push(part)
  }
}

test('what is no text is refused with the reason', () => {
  const bytes = (...values: number[]) => Uint8Array.from(values)
  const cases: [string | Uint8Array, string][] = [
    [bytes(0x7f, 0x45, 0x4c, 0x46, 0, 1), '1:5 INPUT_NOT_TEXT'],
    [bytes(0x61, 0x3a, 0x20, 0xff, 0x0a), '1:4 INPUT_NOT_TEXT'],
    [bytes(0x61, 0x0a, 0xc3), '2:1 INPUT_NOT_TEXT'],
    [bytes(0xff, 0xfe, 0x61, 0x00), '1:1 INPUT_NOT_TEXT'],
    [bytes(0xfe, 0xff, 0x00, 0x61), '1:1 INPUT_NOT_TEXT'],
    ['a: "\u0000"\n', '1:5 INPUT_NOT_TEXT'],
    ['a: \u001b[31m\n', '1:4 INPUT_NOT_TEXT'],
    ['a: 1\rb: 2\r', '1:5 YAML_UNSUPPORTED'],
    [new Uint8Array(10 * 1024 * 1024), '1:1 INPUT_TOO_LARGE'],
    ['a'.repeat(10 * 1024 * 1024), '1:1 INPUT_TOO_LARGE'],
    ['', '1:1 INPUT_EMPTY'],
    ['\uFEFF', '1:1 INPUT_EMPTY'],
    ['# nothing\n---\n', '1:1 INPUT_EMPTY'],
  ]
  for (const [input, expected] of cases) {
    const loaded = load([input])
    assert.equal(brief(loaded.diagnostics), [`0.yaml:${expected}`])
    assert.not.ok(loaded.isComplete)
  }
})

test('a UTF-16 file is told what to do', () => {
  assert.match(load([Uint8Array.from([0xff, 0xfe, 0x61, 0])]).diagnostics[0]?.hint ?? '', 'UTF-8')
})

test('mistakes and constructs that machine files do not have are reported where they are', () => {
  const cases: [string, ...string[]][] = [
    ['a:\n\tb: 1\n', '2:1 YAML_SYNTAX'],
    ['a: 1\nb: {a: 1, "a": 2}\na: 3\n', '2:11 DUPLICATE_KEY', '3:1 DUPLICATE_KEY'],
    ['a: "x\n', '1:6 YAML_SYNTAX'],
    ['a: b: c\n', '1:4 YAML_SYNTAX'],
    ['a: }\n', '1:4 YAML_SYNTAX'],
    ['a:\n  b: 1\n c: 2\n', '3:1 YAML_SYNTAX'],
    ['a: @x\n', '1:4 YAML_SYNTAX'],
    ['--- \na: 1\n---\nb: 2\n', '3:1 YAML_UNSUPPORTED'],
    ['a: !env X\n', '1:4 YAML_UNSUPPORTED'],
    ['a: !!binary aGk=\n', '1:4 YAML_UNSUPPORTED'],
    ['a: !!timestamp 2020-01-01\n', '1:4 YAML_UNSUPPORTED'],
    ['%YAML 1.1\n---\na: yes\n', '1:1 YAML_UNSUPPORTED'],
    ['? [a]\n: 1\n', '1:3 YAML_UNSUPPORTED'],
    ['{a: 1}: 1\n', '1:1 YAML_UNSUPPORTED'],
    [': 1\n', '1:1 YAML_UNSUPPORTED'],
    ['a: *b\n', '1:4 YAML_SYNTAX'],
    ['a: &a [*a]\n', '1:8 YAML_UNSUPPORTED'],
    ['a: &a {b: {<<: *a}}\n', '1:16 YAML_UNSUPPORTED'],
    ['a: {<<: 5}\n', '1:9 YAML_UNSUPPORTED'],
    ['a: .inf\nb: -.INF\nc: .nan\n', '1:4 INVALID_VALUE', '2:4 INVALID_VALUE', '3:4 INVALID_VALUE'],
    ['a: 12345678901234567890123\n', '1:4 INVALID_VALUE'],
    ['a: 1e999\n', '1:4 INVALID_VALUE'],
    ['a: "\\uD800"\n', '1:4 INVALID_VALUE'],
    ['text\n', '1:1 INPUT_NOT_A_MAP'],
    ['[1]\n', '1:1 INPUT_NOT_A_MAP'],
    ['null\n', '1:1 INPUT_NOT_A_MAP'],
  ]
  for (const [text, ...expected] of cases) {
    assert.equal(
      brief(load(text).diagnostics),
      expected.map((one) => `0.yaml:${one}`),
      text,
    )
  }
})

test('the first of two equal keys is shown with the second', () => {
  const [finding] = load('a: 1\nb: 2\n"a": 3\n').diagnostics
  assert.equal(
    finding?.related?.map(({ file, range }) => [file, range.start.line, range.start.column]),
    [['0.yaml', 1, 1]],
  )
})

test('scalar keys are strings, whatever they look like', () => {
  const loaded = load('8080: a\ntrue: b\n~: c\n1.0: d\n"": e\n')
  assert.equal(loaded.diagnostics, [])
  assert.equal(loaded.value, { 8080: 'a', true: 'b', '~': 'c', '1.0': 'd', '': 'e' })
})

test('numbers and strings at the edges are kept exactly', () => {
  const loaded = load('a: 9007199254740991\nb: 0o17\nc: 0x1F\nd: -0\ne: 007\nf: +5\ng: 1_000\nh: 1.5\ni: "\\u0000"\n')
  assert.equal(loaded.diagnostics, [])
  assert.equal(loaded.value, { a: 9007199254740991, b: 15, c: 31, d: 0, e: 7, f: 5, g: '1_000', h: 1.5, i: '\0' })
})

test('nothing behind a syntax error is guessed at', () => {
  const loaded = load('a: 1\na: 2\nb: [1\nc: 1\nc: 2\nd: ${\n')
  assert.equal(brief(loaded.diagnostics), ['0.yaml:4:1 YAML_SYNTAX', '0.yaml:2:1 DUPLICATE_KEY'])
  assert.equal(loaded.value, {})
})

const laughs = ['a0: &a0 [lol, lol]', ...Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`)]
const wide = `a: &a {${Array.from({ length: 1000 }, (_, i) => `k${i}: 1`).join(',')}}`
const tower = Array.from(
  { length: 20 },
  (_, i) => `a${i}: &a${i} ${'['.repeat(20)}${i > 0 ? `*a${i - 1}` : 1}${']'.repeat(20)}`,
)
const hostile: [title: string, text: string, code: string][] = [
  ['a billion laughs', laughs.join('\n'), 'YAML_ALIAS_BOMB'],
  ['one large value named often', filled(`${wide}\nb:\n`, '- *a\n', 100_000), 'YAML_ALIAS_BOMB'],
  ['quadratic merge keys', `${wide}\nb:\n  <<: [${'*a, '.repeat(10_000)}*a]\n`, 'YAML_ALIAS_BOMB'],
  [
    'chained merge keys',
    `${wide}\nb0: &b0 {<<: *a}\n${Array.from({ length: 2000 }, (_, i) => `b${i + 1}: &b${i + 1} {<<: *b${i}, x: ${i}}\n`).join('')}`,
    'YAML_ALIAS_BOMB',
  ],
  ['depth by aliases', tower.join('\n'), 'YAML_UNSUPPORTED'],
  ['100,000 brackets', `a: ${'['.repeat(100_000)}`, 'YAML_UNSUPPORTED'],
  ['100,000 closed brackets', `a: ${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'YAML_UNSUPPORTED'],
  ['100,000 dashes', '- '.repeat(100_000), 'YAML_UNSUPPORTED'],
  ['ever deeper maps', filled('', (i) => `${' '.repeat(i)}a:\n`), 'YAML_UNSUPPORTED'],
  ['2 MiB of items', filled('a:\n', '- x\n'), 'INPUT_TOO_LARGE'],
  ['2 MiB of keys', filled('', (i) => `k${i}: 1\n`), 'INPUT_TOO_LARGE'],
  ['2 MiB of comments', filled('a: 1\n', '#\n'), 'INPUT_TOO_LARGE'],
  ['2 MiB of documents', filled('', '---\n'), 'YAML_UNSUPPORTED'],
  ['2 MiB of stray brackets', filled('', ']'), 'YAML_SYNTAX'],
  ['2 MiB of tags', filled('a: ', '!x '), 'INPUT_TOO_LARGE'],
  ['as many duplicate keys as fit', filled('{', 'a: 1,', 80_000), 'DUPLICATE_KEY'],
  ['as many unset variables as fit', filled('', (i) => `k${i}: "\${A}"\n`, 200_000), 'VARIABLE_UNSET'],
  ['2 MiB of references in one string', `${filled('a: "', '${A}')}"\n`, 'BAD_INTERPOLATION'],
  ['2 MiB of nested fallbacks', `${filled('a: "', '${A:-')}"\n`, 'BAD_INTERPOLATION'],
  ['2 MiB of malformed references', `${filled('a: "', '${1}')}"\n`, 'BAD_INTERPOLATION'],
]
for (const [title, text, code] of hostile) {
  test(`${title}: a diagnostic, in time and memory`, () => {
    const memoryBefore = process.memoryUsage().rss
    const before = process.cpuUsage()
    const loaded = load(text)
    const output = formatDiagnostics(loaded.diagnostics, loaded.texts, { format: 'pretty', color: false })
    const { user, system } = process.cpuUsage(before)
    const spentMs = (user + system) / 1000
    assert.ok(
      loaded.diagnostics.some((finding) => finding.code === code),
      brief(loaded.diagnostics).slice(0, 3).join(),
    )
    assert.ok(spentMs < TIME_LIMIT_MS, `${spentMs} ms`)
    assert.ok(process.memoryUsage().rss - memoryBefore < MEMORY_LIMIT_BYTES)
    assert.ok(output.length < 1024 * 1024)
  })
}

test('a variable that is long and named often does not fill the memory', () => {
  const loaded = load(`a: "${'${BIG}'.repeat(900)}"\n`, { environment: { BIG: 'x'.repeat(100_000) } })
  assert.equal(brief(loaded.diagnostics), ['0.yaml:1:65 BAD_INTERPOLATION'])
})

test('many findings are cut off with their number', () => {
  const { diagnostics, isComplete } = load(filled('', (i) => `k${i}: \${A}\n`, 20_000))
  assert.is(diagnostics.length, 500)
  assert.match(diagnostics.at(-1)?.message ?? '', /\(and \d+ more findings\)$/)
  assert.not.ok(isComplete)
})

test('an alias of a thousand values may be used a few times', () => {
  const loaded = load(`${wide}\nb: [*a, *a, *a]\n`)
  assert.equal(loaded.diagnostics, [])
  assert.is(loaded.origins.size, 2 + 4 * 1001)
})

test.run()
