import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { DiagnosticCode } from '../../generator/diagnostics/codes.ts'
import { parseTemplate, resolveTemplate, templateVariables } from '../../schema/interpolation.ts'
import { brief, load, underlined } from './load-fixture.ts'

const environment = { HOST: 'h', EMPTY: '', DOLLAR: '${HOST}$$', PORT: '8080', __proto__x: 'p' }

function resolved(text: string): string {
  const result = resolveTemplate(parseTemplate(text), environment)
  return 'value' in result ? result.value : result.problems.map((problem) => problem.code).join()
}

test('references, fallbacks and dollar signs resolve as documented', () => {
  const cases: [string, string][] = [
    ['${HOST}', 'h'],
    ['a${HOST}b${PORT}', 'ahb8080'],
    ['${EMPTY}', ''],
    ['${EMPTY:-x}', 'x'],
    ['${EMPTY-x}', ''],
    ['${NONE:-x}', 'x'],
    ['${NONE-x}', 'x'],
    ['${NONE:-}', ''],
    ['${NONE:-a b: {c}', 'a b: {c'],
    ['${NONE:-${HOST}}', 'h'],
    ['${NONE:-${ALSO_NONE:-<${PORT}>}}!', '<8080>!'],
    ['${NONE:-$${x}', '${x'],
    ['${HOST:-${NONE}}', 'h'],
    ['${HOST:?must}', 'h'],
    ['${EMPTY?must}', ''],
    ['${DOLLAR}', '${HOST}$$'],
    ['$$', '$'],
    ['$${HOST}', '${HOST}'],
    ['$$$$', '$$'],
    ['$$${HOST}', '$h'],
    ['$HOST', '$HOST'],
    ['5$', '5$'],
    ['$ $(id) $1', '$ $(id) $1'],
    ['}', '}'],
    ['', ''],
  ]
  for (const [text, value] of cases) assert.is(resolved(text), value, text)
})

test('what cannot be resolved or read has a code', () => {
  const cases: [string, DiagnosticCode | string][] = [
    ['${NONE}', 'VARIABLE_UNSET'],
    ['${NONE} ${OTHER}', 'VARIABLE_UNSET,VARIABLE_UNSET'],
    ['${NONE:?tell me}', 'VARIABLE_REQUIRED'],
    ['${EMPTY:?}', 'VARIABLE_REQUIRED'],
    ['${NONE:-${OTHER}}', 'VARIABLE_UNSET'],
    ['${constructor}', 'VARIABLE_UNSET'],
    ['${', 'BAD_INTERPOLATION'],
    ['${}', 'BAD_INTERPOLATION'],
    ['${A', 'BAD_INTERPOLATION'],
    ['${1A}', 'BAD_INTERPOLATION'],
    ['${A B}', 'BAD_INTERPOLATION'],
    ['${A:}', 'BAD_INTERPOLATION'],
    ['${A:+x}', 'BAD_INTERPOLATION'],
    ['${A-b}', 'b'],
    ['${A:-${B}', 'BAD_INTERPOLATION'],
    ['${1} ${2}', 'BAD_INTERPOLATION,BAD_INTERPOLATION'],
    ['${HOST:-${1}}', 'BAD_INTERPOLATION'],
    ['${A:-'.repeat(20) + '}'.repeat(20), 'BAD_INTERPOLATION'],
  ]
  for (const [text, code] of cases) assert.is(resolved(text), code, text)
})

test('the message of a required variable is the finding', () => {
  const result = resolveTemplate(parseTemplate('${NONE:?set it to the hub}'), {})
  assert.ok('problem' in result)
  assert.is(result.problem.message, 'cannot resolve "${NONE}": set it to the hub')
  assert.is(result.problem.hint, 'the variable "NONE" is not set')
})

test('a template names its variables, once each', () => {
  assert.equal(templateVariables(parseTemplate('${A:-${B}}${A} $$ $C ${D:?${E}}')), ['A', 'B', 'D'])
})

test('an unquoted value gets its type after substitution, a quoted one stays a string', () => {
  const text = [
    'port: ${PORT}',
    'quoted: "${PORT}"',
    "single: '${PORT}'",
    'block: >-\n  ${PORT}',
    'tagged: !!str ${PORT}',
    'joined: 1${PORT}',
    'yes: ${NONE:-true}',
    'hex: ${NONE:-0x1F}',
    'real: ${NONE:-1.5e3}',
    'empty: ${EMPTY}',
    'old: ${NONE:-yes}',
    'list: ["${PORT}"]',
    'gone: ${NONE:-null}',
    'nulls:\n  - ${NONE:-~}',
  ].join('\n')
  const loaded = load(text, { environment })
  assert.equal(loaded.diagnostics, [])
  assert.equal(loaded.value, {
    port: 8080,
    quoted: '8080',
    single: '8080',
    block: '8080',
    tagged: '8080',
    joined: 18080,
    yes: true,
    hex: 31,
    real: 1500,
    empty: '',
    old: 'yes',
    list: ['8080'],
    nulls: [null],
  })
})

test('keys are not interpolated', () => {
  assert.equal(load('"${HOST}": 1\n', { environment }).value, { '${HOST}': 1 })
})

test('a number that a variable gives must have an exact value', () => {
  const loaded = load('a: ${N}\nb: ${I}\n', { environment: { N: '99999999999999999999999', I: '.inf' } })
  assert.equal(brief(loaded.diagnostics), ['0.yaml:1:4 INVALID_VALUE', '0.yaml:2:4 INVALID_VALUE'])
  assert.equal([...loaded.unresolved], ['/a', '/b'])
})

test('findings point at the reference inside the string', () => {
  const cases: [string, string, string][] = [
    ['a: ${NONE}\n', '0.yaml:1:4', '${NONE}'],
    ['a: x ${HOST} ${NONE:-${OTHER}}\n', '0.yaml:1:22', '${OTHER}'],
    ['a: "\\t漢 ${NONE}"\n', '0.yaml:1:9', '${NONE}'],
    ["a: 'it''s ${NONE}'\n", '0.yaml:1:11', '${NONE}'],
    ['a: |\n  $$ one\n  two ${NONE} three\n', '0.yaml:3:7', '${NONE}'],
    ['a: >-\n  one $x\n  two\n  ${NONE:?x\n  y}\n', '0.yaml:4:3', '${NONE:?x\n  y}'],
    ['a: "\\x24{NONE}"\n', '0.yaml:1:4', '"\\x24{NONE}"'],
    ['a: [b, "${NONE}"]\n', '0.yaml:1:9', '${NONE}'],
    ['a: one ${1A} two\n', '0.yaml:1:8', '${1A}'],
    ['a: one ${\n', '0.yaml:1:8', '${'],
  ]
  for (const [text, position, shown] of cases) {
    const loaded = load(text, { environment })
    assert.is(loaded.diagnostics.length, 1, text)
    assert.is(brief(loaded.diagnostics)[0]?.split(' ')[0], position, text)
    assert.is(underlined(loaded, loaded.diagnostics[0]!), shown, text)
    assert.equal([...loaded.unresolved].length, 1)
  }
})

test('an unquoted reference in flow style gets a hint to quote it', () => {
  for (const text of ['a: { port: ${PORT} }\n', 'a: [${PORT:-80}, 1]\n']) {
    const [first] = load(text, { environment }).diagnostics
    assert.is(first?.code, 'YAML_SYNTAX')
    assert.match(first?.hint ?? '', 'quote a value with "${...}"')
  }
})

test('a secret or deferred string stays as it is written; its syntax is checked', () => {
  const asked: string[] = []
  const loaded = load(
    'redis:\n  url: ${HUB}\n  token: "a$$b"\n  bad: ${\n  port: 5\nlist: ["${X:?later}"]\nplain: ${PORT}\n',
    {
      environment,
      treatmentOf: (keys) => {
        asked.push(keys.join('.'))
        return keys[0] === 'redis' ? 'secret' : keys[0] === 'list' ? 'deferred' : 'plain'
      },
    },
  )
  assert.equal(brief(loaded.diagnostics), ['0.yaml:4:8 BAD_INTERPOLATION'])
  assert.equal(loaded.value, {
    redis: { url: '${HUB}', token: 'a$$b', bad: '${', port: 5 },
    list: ['${X:?later}'],
    plain: 8080,
  })
  assert.equal(asked, ['redis.url', 'redis.token', 'list.0', 'plain'])
  const origin = loaded.origins.get('/redis/url')
  assert.equal(origin?.kind === 'file' && origin.variables, ['HUB'])
})

test('any text survives with its dollar signs doubled', () => {
  const text = fc.string({ unit: fc.constantFrom('$', '{', '}', 'A', ':', '-', '?', ' ') })
  fc.assert(
    fc.property(text, (value) => {
      assert.is(resolved(value.replaceAll('$', '$$$$')), value)
    }),
    { numRuns: 1000, includeErrorInReport: true },
  )
})

test('parsing any text ends, covers it in order, and resolving it never throws', () => {
  const text = fc.array(fc.constantFrom('$', '${', '}', 'A', '${A', ':-', ':?', '$$', ' x'), { maxLength: 30 })
  fc.assert(
    fc.property(text, (pieces) => {
      const parts = parseTemplate(pieces.join(''))
      let end = 0
      for (const part of parts) {
        if (part.kind === 'text') continue
        assert.ok(part.start >= end && part.end > part.start && part.end <= pieces.join('').length)
        end = part.end
      }
      resolveTemplate(parts, { A: 'a' })
    }),
    { numRuns: 2000, includeErrorInReport: true },
  )
})

test('a value of any text, in quotes, comes out as the environment has it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (value, around) => {
      const written = JSON.stringify(`${around.replaceAll('$', '$$$$')}\${V}`)
      assert.equal(load(`a: ${written}\n`, { environment: { V: value } }).value, { a: `${around}${value}` })
    }),
    { numRuns: 500, includeErrorInReport: true },
  )
})

test.run()
