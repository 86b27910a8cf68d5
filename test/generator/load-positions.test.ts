import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { stringify } from 'yaml'
import type { JsonValue, Pointer } from '../../generator/load/origin.ts'
import { pointerKeys } from '../../generator/load/origin.ts'
import { brief, load } from './load-fixture.ts'

function originText(loaded: ReturnType<typeof load>, pointer: Pointer): string | undefined {
  const origin = loaded.origins.get(pointer)
  if (origin?.kind !== 'file') return origin?.kind
  const { start, end } = origin.range
  return `${origin.file}:${start.line}:${start.column} ${loaded.texts.get(origin.file)?.slice(start.offset, end.offset)}`
}

function valueAt(value: JsonValue, pointer: Pointer): JsonValue | undefined {
  return pointerKeys(pointer).reduce<JsonValue | undefined>(
    (node, key) => (node as Record<string, JsonValue> | undefined)?.[key],
    value,
  )
}

test('every value knows its text: block and flow style, quotes, wide characters, comments', () => {
  const loaded = load(
    '# first\nname: "漢字" # wide\nlist:\n  - a: 1\n    b: {c: [x, \'y z\']}\n  - |\n    text\n🎉: ok\n',
  )
  assert.equal(loaded.diagnostics, [])
  assert.is(originText(loaded, '/name'), '0.yaml:2:7 "漢字"')
  assert.is(originText(loaded, '/list/0'), "0.yaml:4:5 a: 1\n    b: {c: [x, 'y z']}")
  assert.is(originText(loaded, '/list/0/b'), "0.yaml:5:8 {c: [x, 'y z']}")
  assert.is(originText(loaded, '/list/0/b/c/1'), "0.yaml:5:16 'y z'")
  assert.is(originText(loaded, '/list/1'), '0.yaml:6:5 |\n    text\n')
  assert.is(originText(loaded, '/🎉'), '0.yaml:8:5 ok')
})

test('a key has its own range', () => {
  const origin = load('services:\n  my-api: {port: 7}\n').origins.get('/services/my-api/port')
  assert.is(origin?.kind, 'file')
  assert.equal(origin?.kind === 'file' && origin.keyRange?.start, { line: 2, column: 12, offset: 21 })
})

test('a byte order mark and CRLF line ends move nothing', () => {
  const plain = load('a: 1\nb:\n  c: "x"\n')
  const windows = load(new TextEncoder().encode('\uFEFFa: 1\r\nb:\r\n  c: "x"\r\n'))
  assert.equal(windows.value, plain.value)
  const [here, there] = [windows, plain].map(({ origins }) => origins.get('/b/c'))
  assert.ok(here?.kind === 'file' && there?.kind === 'file')
  assert.is(here.range.start.line, there.range.start.line)
  assert.is(here.range.start.column, there.range.start.column)
})

test('an alias stands where it is written, what is in it where that is written', () => {
  const loaded = load('base: &b {port: 1}\ncopy: *b\n')
  assert.equal(loaded.value, { base: { port: 1 }, copy: { port: 1 } })
  assert.is(originText(loaded, '/copy'), '0.yaml:2:7 *b')
  assert.is(originText(loaded, '/copy/port'), '0.yaml:1:17 1')
})

test('a merge key gives what the map itself does not have', () => {
  const loaded = load('a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  <<: [*a, *b]\n  x: 9\nd: {<<: *a}\n"<<": text\n')
  assert.equal(loaded.diagnostics, [])
  assert.equal(loaded.value.c, { x: 9, y: 2, z: 4 })
  assert.equal(loaded.value.d, { x: 1, y: 2 })
  assert.is(loaded.value['<<'], 'text')
  assert.is(originText(loaded, '/c/z'), '0.yaml:2:17 4')
})

test('an interpolated value keeps the place and the variables it was written with', () => {
  const loaded = load('port: ${PORT:-${BASE}}\n', { environment: { BASE: '80' } })
  assert.is(loaded.value.port, 80)
  assert.is(originText(loaded, '/port'), '0.yaml:1:7 ${PORT:-${BASE}}')
  const origin = loaded.origins.get('/port')
  assert.equal(origin?.kind === 'file' && origin.variables, ['PORT', 'BASE'])
})

test('JSON is read as it is', () => {
  const text = '{"machine": {"id": "m", "gpu": {"count": 2, "mock": false}}, "list": [1.5, "a\\u00e9", []]}'
  const loaded = load(text)
  assert.equal(loaded.diagnostics, [])
  assert.equal(loaded.value, JSON.parse(text))
})

/** What survives as it is: no `null` in a map (it removes), no whole number beyond the exact ones. */
function isKept(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isKept)
  if (typeof value === 'number') return !Number.isInteger(value) || Number.isSafeInteger(value)
  if (value === null || typeof value !== 'object') return true
  return Object.values(value).every((child) => child !== null && isKept(child))
}

const documents = fc
  .dictionary(
    fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('__proto__', 'a.b', '1', 'true')),
    fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' }),
    { maxKeys: 6 },
  )
  // Through JSON, for plain prototypes and no negative zero.
  .map((value) => JSON.parse(JSON.stringify(value)) as { [key: string]: JsonValue })
  .filter((value) => isKept(value) && Object.keys(value).length > 0)

function doubleDollars(value: JsonValue): JsonValue {
  if (typeof value === 'string') return value.replaceAll('$', '$$$$')
  if (Array.isArray(value)) return value.map(doubleDollars)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, doubleDollars(child)]))
}

test('any document, written as YAML or JSON with its dollar signs doubled, loads to itself', () => {
  fc.assert(
    fc.property(documents, fc.boolean(), (document, asJson) => {
      const escaped = doubleDollars(document)
      const text = asJson ? JSON.stringify(escaped, null, 2) : stringify(escaped, { lineWidth: 0 })
      const loaded = load(text)
      assert.equal(brief(loaded.diagnostics), [])
      assert.is(JSON.stringify(loaded.value), JSON.stringify(document))
    }),
    { numRuns: 400, includeErrorInReport: true },
  )
})

test('every value has an origin, whose text reads as the value', () => {
  fc.assert(
    fc.property(documents, fc.constantFrom('PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE'), (document, style) => {
      const text = stringify(document, {
        lineWidth: 0,
        defaultStringType: style,
        singleQuote: style === 'QUOTE_SINGLE',
      })
      const loaded = load(text)
      if (loaded.diagnostics.length > 0) return
      const pointers: Pointer[] = []
      const visit = (value: JsonValue, pointer: Pointer) => {
        pointers.push(pointer)
        if (value === null || typeof value !== 'object') return
        for (const [key, child] of Object.entries(value)) {
          visit(child, `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`)
        }
      }
      visit(loaded.value, '')
      assert.equal([...loaded.origins.keys()].sort(), [...pointers].sort())
      for (const pointer of pointers) {
        const origin = loaded.origins.get(pointer)
        assert.ok(origin?.kind === 'file')
        const { start, end } = origin.range
        assert.is(
          text.split('\n')[start.line - 1]?.slice(start.column - 1, start.column),
          text.slice(start.offset, start.offset + 1).replace('\n', ''),
        )
        const slice = `${' '.repeat(start.column - 1)}${text.slice(start.offset, end.offset)}`
        const again = load(`v:\n  -\n   ${slice.replaceAll('\n', '\n   ')}`)
        assert.is(
          JSON.stringify(again.value.v),
          JSON.stringify([valueAt(loaded.value, pointer)]),
          `${pointer} in ${text}`,
        )
      }
    }),
    { numRuns: 150, includeErrorInReport: true },
  )
})

test.run()
