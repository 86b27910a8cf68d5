import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Location } from '../../generator/diagnostics/diagnostic.ts'
import type { Override } from '../../generator/load/load-machine.ts'
import { brief, load } from './load-fixture.ts'

function whole(file: string, length: number): Location {
  return {
    file,
    range: { start: { line: 1, column: 1, offset: 0 }, end: { line: 1, column: length + 1, offset: length } },
  }
}

function set(text: string, ...sets: string[]) {
  return load(text, { sets })
}

test('maps merge, lists and single values replace, the kind of a value may change', () => {
  const loaded = load([
    'a: {x: 1, y: {z: 2}}\nlist: [1, 2]\nb: 1\nc: {d: 1}\n',
    'a: {y: {w: 3}}\nlist: [3]\nb: {e: 1}\nc: 5\n',
  ])
  assert.equal(loaded.diagnostics, [])
  assert.equal(loaded.value, { a: { x: 1, y: { z: 2, w: 3 } }, list: [3], b: { e: 1 }, c: 5 })
})

test('null removes a key, at any depth, also one that nobody gave; a later layer may give it again', () => {
  const loaded = load([
    'a: {x: 1, y: 2}\nb: 1\nc: {d: 1}\n',
    'a: {x: null}\nb: ~\nc: null\nq: {r: null}\n',
    'c: {e: 2}\n',
  ])
  assert.equal(loaded.diagnostics, [])
  assert.equal(loaded.value, { a: { y: 2 }, c: { e: 2 }, q: {} })
  assert.not.ok(loaded.origins.has('/a/x'))
})

test('a key without a value is null, with a warning', () => {
  const loaded = load('services:\n  nginx:\n  ollama: null\n')
  assert.equal(brief(loaded.diagnostics), ['0.yaml:2:3 INVALID_VALUE?'])
  assert.equal(loaded.value, { services: {} })
  assert.ok(loaded.isComplete)
})

test('the origin of a value is the layer that gave it, of a map the first that did', () => {
  const { origins } = load(['a: {x: 1, y: 2}\n', '\na: {y: 3, z: 4}\n'])
  const layerOf = (pointer: string) => {
    const origin = origins.get(pointer)
    return origin?.kind === 'file'
      ? `${origin.layer}:${origin.range.start.line}:${origin.range.start.column}`
      : origin?.kind
  }
  assert.equal(['/a', '/a/x', '/a/y', '/a/z'].map(layerOf), ['0:1:4', '0:1:8', '1:2:8', '1:2:14'])
})

test('only values that survive are resolved, but every layer is checked', () => {
  const loaded = load(['a: ${NONE:?base}\nb: ${1}\n', 'a: 1\nb: 2\n'])
  assert.equal(loaded.value, { a: 1, b: 2 })
  assert.equal(brief(loaded.diagnostics), ['0.yaml:2:4 BAD_INTERPOLATION'])
})

test('mistakes of all layers are reported at once', () => {
  const loaded = load(['a: [1\n', '', '- 1\n', 'a: 1\na: 2\nb: *no\n'])
  assert.equal(brief(loaded.diagnostics), [
    '0.yaml:1:6 YAML_SYNTAX',
    '1.yaml:1:1 INPUT_EMPTY',
    '2.yaml:1:1 INPUT_NOT_A_MAP',
    '3.yaml:2:1 DUPLICATE_KEY',
    '3.yaml:3:4 YAML_SYNTAX',
  ])
  assert.not.ok(loaded.isComplete)
})

test('an override from the environment comes over the files and under --set', () => {
  const override = (pointer: string, value: Override['value']): Override => ({
    pointer,
    value,
    variable: 'V',
    location: whole('$V', 5),
  })
  const loaded = load('a: {n: 1, m: 1}\ns: x\nl: [1, {k: 1}]\n', {
    environment: { V: '${X}5' },
    overrides: [
      override('/a/n', 2),
      override('/a/m', 2),
      override('/new/deep', '${X}'),
      override('/s/t', 1),
      override('/l/1/k', 7),
    ],
    sets: ['a.m=3'],
  })
  assert.equal(loaded.value, { a: { n: 2, m: 3 }, s: 'x', l: [1, { k: 7 }], new: { deep: '${X}' } })
  assert.equal(brief(loaded.diagnostics), ['$V:1:1 BAD_ENVIRONMENT_VALUE'])
  assert.equal(loaded.origins.get('/a/n'), { kind: 'environment', variable: 'V', location: whole('$V', 5) })
  assert.is(loaded.origins.get('/a/m')?.kind, 'set')
  assert.is(loaded.origins.get('/a')?.kind, 'file')
  assert.is(loaded.texts.get('$V'), '${X}5')
})

test('the text of a variable that gives a secret is not kept', () => {
  const loaded = load('a: 1\n', {
    environment: { V: 'hunter2' },
    overrides: [{ pointer: '/token', value: '${V}', variable: 'V', location: whole('$V', 7) }],
    treatmentOf: () => 'secret',
  })
  assert.not.ok(loaded.texts.has('$V'))
})

test('--set gives typed values at a path', () => {
  const cases: [string, unknown][] = [
    ['a.b=9000', { a: { b: 9000 } }],
    ['a.b=true', { a: { b: true } }],
    ['a.b="9000"', { a: { b: '9000' } }],
    ["a.b='it''s'", { a: { b: "it's" } }],
    ['a.b=', { a: { b: '' } }],
    ['a.b= two words # all of it', { a: { b: 'two words # all of it' } }],
    ['a.b=[1, {c: d}]', { a: { b: [1, { c: 'd' }] } }],
    ['a.b={c: 1}', { a: { b: { c: 1 } } }],
    ['a.b=x=y', { a: { b: 'x=y' } }],
    ['a.b=- c: *d', { a: { b: '- c: *d' } }],
    ['"a.b".c=1', { 'a.b': { c: 1 } }],
    ["'a=b'.c=1", { 'a=b': { c: 1 } }],
    ['a\\.b\\=c=1', { 'a.b=c': 1 }],
    ['"a\\"b"=1', { 'a"b': 1 }],
    ['a.0=1', { a: { 0: 1 } }],
  ]
  for (const [option, value] of cases) {
    const loaded = set('{}', option)
    assert.equal(loaded.diagnostics, [], option)
    assert.equal(loaded.value, value, option)
  }
})

test('--set merges maps, changes items of lists, and removes', () => {
  const text = 'a: {x: 1}\nl: [{k: 1}, {k: 2}]\n'
  assert.equal(set(text, 'a={y: 2}').value.a, { x: 1, y: 2 })
  assert.equal(set(text, 'a=null').value, { l: [{ k: 1 }, { k: 2 }] })
  assert.equal(set(text, 'a.x=null').value.a, {})
  assert.equal(set(text, 'l.1.k=5').value.l, [{ k: 1 }, { k: 5 }])
  assert.equal(set(text, 'l.2.k=5').value.l, [{ k: 1 }, { k: 2 }, { k: 5 }])
  assert.equal(set(text, 'l.0=null').value.l, [{ k: 2 }])
  assert.equal(set(text, 'l.2=x', 'l.3=y').value.l, [{ k: 1 }, { k: 2 }, 'x', 'y'])
  assert.equal(set('a: null\n', 'a.b=1').value, { a: { b: 1 } })
})

test('--set resolves references', () => {
  const loaded = load('{}', { sets: ['a=${P:-80}', 'b="${P:-80}"', 'c=${1}', 'd="x ${Q}"'] })
  assert.equal(loaded.value, { a: 80, b: '80', c: '${1}', d: 'x ${Q}' })
  assert.equal(brief(loaded.diagnostics), ['--set c=${1}:1:3 BAD_INTERPOLATION', '--set d="x ${Q}":1:6 VARIABLE_UNSET'])
})

test('a bad --set says where, and changes nothing', () => {
  const cases: [string, number][] = [
    ['a.b', 4],
    ['', 1],
    ['=1', 1],
    ['a..b=1', 3],
    ['a.=1', 3],
    ['"a=1', 1],
    ['"a"b=1', 4],
    ['s.t=1', 3],
    ['l.x=1', 3],
    ['l.2=1', 3],
    ['l.01=1', 3],
    ['a=[1', 5],
    ['a={b: }}', 8],
    ['a=1e999', 3],
    [`${'a.'.repeat(60)}b=1`, 100],
  ]
  for (const [option, column] of cases) {
    const loaded = set('s: x\nl: [1]\n', option)
    assert.equal(brief(loaded.diagnostics), [`--set ${option}:1:${column} BAD_SET_OPTION`], option)
    assert.equal(loaded.value, { s: 'x', l: [1] }, option)
    assert.not.ok(loaded.isComplete)
  }
})

test('where --set gives a secret, it is shown without it', () => {
  const treatmentOf = (keys: string[]) => (keys.at(-1) === 'url' ? ('secret' as const) : ('plain' as const))
  const loaded = load('{}', {
    sets: ['redis.url=redis://:pw@h', 'redis={url: "pw", port: 1}', 'redis.port=2'],
    treatmentOf,
  })
  assert.equal(loaded.value, { redis: { url: 'pw', port: 2 } })
  assert.not.match(JSON.stringify([...loaded.texts, ...loaded.origins]), 'pw')
  assert.ok(loaded.texts.has('--set redis.port=2'))
})

test('keys that mean something to JavaScript are keys like any other', () => {
  const loaded = load(['__proto__: {polluted: 1}\nconstructor: {prototype: {x: 1}}\n', '__proto__: {more: 2}\n'], {
    sets: ['__proto__.set=3', 'constructor.prototype.y=4'],
  })
  assert.is(
    JSON.stringify(loaded.value),
    '{"__proto__":{"polluted":1,"more":2,"set":3},"constructor":{"prototype":{"x":1,"y":4}}}',
  )
  assert.is(Object.getPrototypeOf(loaded.value), Object.prototype)
  assert.is(({} as Record<string, unknown>).polluted, undefined)
})

test.run()
