import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readCursor, writeCursor } from '../../runtime/shared/logs/log-cursor.ts'
import { type FilterParameters, parseLogFilter } from '../../runtime/shared/logs/log-filter.ts'
import { levelOfName, levelOfNumber } from '../../runtime/shared/logs/log-level.ts'
import { readStamp } from '../../runtime/shared/logs/stamp.ts'

const NOW_MS = Date.UTC(2026, 0, 31, 12)

function filterOf(parameters: FilterParameters) {
  const parsed = parseLogFilter(parameters, NOW_MS)
  if ('problem' in parsed) throw new Error(parsed.problem)
  return parsed.filter
}

function problemOf(parameters: FilterParameters): string {
  const parsed = parseLogFilter(parameters, NOW_MS)
  return 'problem' in parsed ? parsed.problem : ''
}

test('nothing asked for is the last hundred lines of all', () => {
  assert.equal(filterOf({}), {
    services: [],
    gpu: null,
    level: null,
    sinceMs: null,
    untilMs: null,
    after: null,
    before: null,
    grep: null,
    pattern: null,
    correlationId: null,
    lines: 100,
  })
})

test('times are ISO 8601, or how long ago', () => {
  assert.is(filterOf({ since: '10m' }).sinceMs, NOW_MS - 600_000)
  assert.is(filterOf({ until: '2h' }).untilMs, NOW_MS - 7_200_000)
  assert.is(filterOf({ since: '2026-01-31T11:00:00Z' }).sinceMs, NOW_MS - 3_600_000)
  assert.is(filterOf({ since: '2026-01-31T12:00:00 01:00' }).sinceMs, NOW_MS - 3_600_000)
})

test('services, levels, counts and patterns are read', () => {
  assert.equal(filterOf({ service: 'nginx,comfyui-gpu0,nginx,' }).services, ['nginx', 'comfyui-gpu0'])
  assert.is(filterOf({ level: 'WARNING' }).level, 'warn')
  assert.is(filterOf({ gpu: '0', lines: '10000' }).gpu, 0)
  assert.is(filterOf({ grep: 'out of (memory' }).grep, 'out of (memory')
  assert.equal(filterOf({ grep: '/out of \\w+/i' }).pattern, /out of \w+/i)
  assert.is(filterOf({ grep: '/path/' }).grep, null)
  assert.is(filterOf({ grep: '/models/checkpoints' }).grep, '/models/checkpoints')
})

test('what cannot be used is said by name, with its value', () => {
  assert.match(problemOf({ lines: '10001' }), 'cannot use "10001" as "lines"')
  assert.match(problemOf({ lines: '-1' }), '"lines"')
  assert.match(problemOf({ gpu: 'all' }), '"gpu"')
  assert.match(problemOf({ level: 'loud' }), 'debug, info, warn, error')
  assert.match(problemOf({ since: 'yesterday' }), '"since"')
  assert.match(problemOf({ since: '2026-13-01' }), '"since"')
  assert.match(problemOf({ grep: '/(/' }), '"grep"')
  assert.match(problemOf({ grep: 'x'.repeat(300) }), 'longer than 256')
  assert.match(problemOf({ before: 'c123' }), '"before"')
})

test('no text makes reading a filter throw', () => {
  fc.assert(
    fc.property(
      fc.record(
        Object.fromEntries(
          ['service', 'gpu', 'level', 'since', 'until', 'lines', 'grep', 'after', 'before', 'correlationId'].map(
            (name) => [name, fc.oneof(fc.string(), fc.string({ unit: 'binary' }))],
          ),
        ),
        { requiredKeys: [] },
      ),
      (parameters) => {
        const parsed = parseLogFilter(parameters, NOW_MS)
        assert.ok('filter' in parsed || parsed.problem.startsWith('cannot use '))
      },
    ),
  )
})

test('a cursor survives an address, and works as since and until', () => {
  fc.assert(
    fc.property(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.option(fc.nat({ max: 1e8 })),
      (timeMs, count) => {
        const text = writeCursor({ timeMs, count })
        assert.is(encodeURIComponent(text), text)
        assert.equal(readCursor(text), { timeMs, count })
        assert.equal(filterOf({ since: text }).after, { timeMs, count })
        assert.equal(filterOf({ until: text }).before, { timeMs, count })
      },
    ),
  )
  for (const text of ['', 'c', 'x123', 'c////////////', 'cAAAAAAAAAAA.', 'cf_8AAAAAAAA'])
    assert.is(readCursor(text), null)
})

test('levels go by many names', () => {
  assert.equal(['WARN', 'Critical', 'notice', 'trace', 'x'].map(levelOfName), ['warn', 'error', 'info', 'debug', null])
  assert.equal([10, 20, 30, 35, 40, 50, 60, 0, Number.NaN].map(levelOfNumber), [
    ...(['debug', 'debug', 'info', 'info', 'warn', 'error', 'error'] as const),
    null,
    null,
  ])
})

test('both stamps of s6-log are read to the microsecond', () => {
  const label = readStamp('@400000006b02088a29420d3f text')
  assert.is(label!.length, 26)
  assert.is(new Date(label!.timeMs).toISOString(), '2026-11-21T21:08:53.692Z')
  const local = readStamp('2026-11-21 21:08:53.692194623  text')
  assert.is(local!.length, 31)
  assert.is(Math.floor(local!.timeMs), new Date(2026, 10, 21, 21, 8, 53, 692).getTime())
  assert.ok(Math.abs((local!.timeMs % 1) - 0.194623) < 0.001)
  for (const text of [
    '',
    '@',
    '@400000006b02088a29420d3ftext',
    '2026-11-21 21:08:53 x',
    '@zz0000006b02088a29420d3f x',
  ]) {
    assert.is(readStamp(text), null)
  }
})

test.run()
