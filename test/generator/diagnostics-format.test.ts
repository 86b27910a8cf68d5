import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Diagnostic } from '../../generator/diagnostics/diagnostic.ts'
import { formatDiagnostics } from '../../generator/diagnostics/format.ts'
import { sortDiagnostics } from '../../generator/diagnostics/sort.ts'
import { errorAt, rangeOf, sourceText } from '../../generator/load/source-text.ts'

const PRETTY = { format: 'pretty', color: false } as const

/** A finding about the first `what` in a text. */
function about(text: string, what: string, change: Partial<Diagnostic> = {}): Diagnostic {
  const start = text.indexOf(what)
  const source = sourceText('m.yaml', text, { kind: 'file', layer: 0 })
  return { ...errorAt({ source, start, end: start + what.length }, 'PORT_CONFLICT', 'cannot use it'), ...change }
}

function pretty(text: string, diagnostic: Diagnostic): string[] {
  return formatDiagnostics([diagnostic], new Map([['m.yaml', text]]), PRETTY).split('\n')
}

/** The part of the source line that stands over the carets. */
function overCarets([, line = '', carets = '']: string[]): string {
  return line.slice(carets.indexOf('^'), carets.lastIndexOf('^') + 1)
}

test('a finding has its position, line, underline, related place, hint and a summary', () => {
  const text = 'services:\n  a: { port: 80 }\n  b: { port: 81 }\n'
  const source = sourceText('m.yaml', text, { kind: 'file', layer: 0 })
  const related = [{ file: 'm.yaml', range: rangeOf({ source, start: 23, end: 25 }), message: '"a" has it' }]
  const finding = about(text, '81', { message: 'cannot use port 81 for "b": "a" has it', related, hint: 'change one' })
  const warning = about(text, 'services', { severity: 'warning', code: 'LITERAL_SECRET' })
  assert.is(
    formatDiagnostics([finding, warning, finding], new Map([['m.yaml', text]]), PRETTY),
    `m.yaml:1:1: warning[LITERAL_SECRET]: cannot use it
    1 | ********:
      | ^^^^^^^^

m.yaml:3:14: error[PORT_CONFLICT]: cannot use port 81 for "b": "a" has it
    3 |   b: { port: 81 }
      |              ^^
m.yaml:2:14: note: "a" has it
    2 |   a: { port: 80 }
      |              ^^
hint: change one

m.yaml:3:14: error[PORT_CONFLICT]: cannot use port 81 for "b": "a" has it
    3 |   b: { port: 81 }
      |              ^^
m.yaml:2:14: note: "a" has it
    2 |   a: { port: 80 }
      |              ^^
hint: change one

2 errors, 1 warning
`,
  )
})

test('the carets stand under their text after tabs', () => {
  for (const text of ['\tport: 81\n', 'a\t\tport: 81', 'abcd\tx 81\r\n']) {
    assert.is(overCarets(pretty(text, about(text, '81'))), '81', JSON.stringify(text))
  }
})

test('wide characters take two columns, combining ones none', () => {
  const text = 'a: 漢字 e\u0301 🎉 81'
  assert.is(pretty(text, about(text, '81'))[2], `      | ${' '.repeat('a: '.length + 4 + 1 + 1 + 1 + 2 + 1)}^^`)
  const wide = 'a: 漢字'
  assert.is(pretty(wide, about(wide, '漢字'))[2], '      |    ^^^^')
})

test('of a long line the part around the caret is shown', () => {
  const text = `first\n${'x'.repeat(5000)} 81 ${'y'.repeat(5000)}\nlast`
  const lines = pretty(text, about(text, '81'))
  assert.is(overCarets(lines), '81')
  assert.match(lines[1]!, /^ {4}2 \| …x{5,} 81 y{5,}…$/)
  assert.ok(lines[1]!.length <= 8 + 102)
  const start = `81 ${'y'.repeat(300)}`
  assert.match(pretty(start, about(start, '81'))[1]!, /^ {4}1 \| 81 y+…$/)
  const end = `${'y'.repeat(300)} 81`
  assert.match(pretty(end, about(end, '81'))[1]!, /^ {4}1 \| …y+ 81$/)
})

test('a range over several lines is underlined to the end of the first', () => {
  const text = 'a:\n  b: 1\n  c: 2\n'
  assert.is(overCarets(pretty(text, about(text, 'b: 1\n  c: 2'))), 'b: 1')
})

test('an empty range has one caret, also at the end of the text and of an empty one', () => {
  assert.is(pretty('a: ', about('a: ', ''))[2], '      | ^')
  const text = 'ab\n'
  const end = { line: 2, column: 1, offset: 3 }
  assert.is(pretty(text, about(text, 'a', { range: { start: end, end } }))[2], '      | ^')
  assert.is(pretty('', about('', ''))[2], '      | ^')
})

test('a position in an unknown text has no excerpt', () => {
  assert.equal(formatDiagnostics([about('a', 'a')], new Map(), PRETTY).split('\n'), [
    'm.yaml:1:1: error[PORT_CONFLICT]: cannot use it',
    '',
    '1 error',
    '',
  ])
})

test('a literal secret is hidden in every excerpt of its line', () => {
  const text = 'redis: {url: "redis://:hunter2@h", port: 81}'
  const findings = [
    about(text, '"redis://:hunter2@h"', { code: 'LITERAL_SECRET', severity: 'warning' }),
    about(text, '81'),
  ]
  const output = formatDiagnostics(findings, new Map([['m.yaml', text]]), PRETTY)
  assert.not.match(output, 'hunter2')
  assert.match(output, '{url: ********************, port: 81}')
})

test('colour wraps the words and changes nothing else', () => {
  const text = 'port: 81'
  const [plain, colored] = [false, true].map((color) =>
    formatDiagnostics([about(text, '81', { hint: 'h' })], new Map([['m.yaml', text]]), { format: 'pretty', color }),
  )
  assert.match(colored!, '\x1b[1;31merror[PORT_CONFLICT]\x1b[0m')
  assert.is(colored!.replaceAll(/\x1b\[[0-9;]*m/g, ''), plain!)
})

test('JSON is one document with every field, also without findings', () => {
  const finding = about('a: 1', '1', { hint: 'x', message: 'cannot \u009b31m \u202e' })
  const output = formatDiagnostics([finding], new Map(), { format: 'json', color: true })
  assert.equal(JSON.parse(output), { diagnostics: [finding], errors: 1, warnings: 0 })
  assert.not.match(output, /[\u0080-\u009f\u202e]/)
  const none = formatDiagnostics([], new Map(), { format: 'json', color: false })
  assert.equal(JSON.parse(none), { diagnostics: [], errors: 0, warnings: 0 })
  assert.is(formatDiagnostics([], new Map(), PRETTY), '')
  assert.is(formatDiagnostics([], new Map(), { format: 'github', color: false }), '')
})

test('a GitHub annotation escapes what would end it', () => {
  const finding = about('a: 1', '1', { file: 'a,b:c%.yaml', message: 'cannot 100%\n::error::x', hint: 'do\ry' })
  assert.is(
    formatDiagnostics([finding], new Map(), { format: 'github', color: false }),
    '::error file=a%2Cb%3Ac%25.yaml,line=1,col=4,endLine=1,endColumn=5,title=PORT_CONFLICT::cannot 100%25\\x0a::error::x%0Ahint: do\\x0dy\n',
  )
})

test('the order is that of the texts, then of positions, whatever the order of arrival', () => {
  const text = 'abc'
  const findings = [
    about(text, 'c', { file: 'z' }),
    about(text, 'b', { file: 'z', severity: 'warning' }),
    about(text, 'b', { file: 'z' }),
    about(text, 'a', { file: 'a' }),
    about(text, 'c', { file: 'unknown' }),
  ]
  const order = (list: Diagnostic[]) =>
    sortDiagnostics(
      list,
      new Map([
        ['z', ''],
        ['a', ''],
      ]),
    ).map((d) => `${d.file}${d.range.start.column}${d.severity[0]}`)
  assert.equal(order(findings), ['z2e', 'z2w', 'z3e', 'a1e', 'unknown3e'])
  assert.equal(order(findings.toReversed()), order(findings))
})

test('no control character comes out as it is, whatever the text, and the carets never leave the line', () => {
  const text = fc.string({ unit: 'binary' })
  fc.assert(
    fc.property(text, fc.nat(), fc.nat(20), (input, at, length) => {
      const source = sourceText(input, input, { kind: 'file', layer: 0 })
      const start = input.length === 0 ? 0 : at % input.length
      const finding = errorAt(
        { source, start, end: Math.min(input.length, start + length) },
        'YAML_SYNTAX',
        input,
        input,
      )
      for (const format of ['pretty', 'json', 'github'] as const) {
        const output = formatDiagnostics([finding], new Map([[input, input]]), { format, color: false })
        assert.not.match(output, /[\0-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/)
      }
    }),
    { numRuns: 1000, includeErrorInReport: true },
  )
})

test.run()
