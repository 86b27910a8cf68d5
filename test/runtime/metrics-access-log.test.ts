import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readAccessLine } from '../../runtime/sidecar/metrics/access-line.ts'
import { accessRoutes } from '../../runtime/sidecar/metrics/access-routes.ts'
import {
  countAccess,
  dumpAccessTotals,
  emptyAccessTotals,
  restoreAccessTotals,
} from '../../runtime/sidecar/metrics/access-totals.ts'
import { createLineFollower, type LogPosition } from '../../runtime/sidecar/metrics/line-follower.ts'
import { loadRecord, saveRecord } from '../../runtime/sidecar/metrics/metrics-record.ts'
import { accessLine } from '../fixtures/access-line.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const ROUTES = accessRoutes(planFixture().proxy!)

test('a line of nginx is what is counted of a request', () => {
  assert.equal(readAccessLine(accessLine()), {
    route: '/comfyui/0/',
    status: 200,
    seconds: 0.034,
    bytesReceived: 300,
    bytesSent: 1200,
  })
})

for (const line of [
  '',
  '{',
  '[]',
  'null',
  '7',
  accessLine().slice(0, -1),
  accessLine({ status: '200' }),
  accessLine({ status: 99 }),
  accessLine({ status: 600 }),
  accessLine({ status: 200.5 }),
  accessLine({ requestSeconds: -1 }),
  accessLine({ requestSeconds: 1e300 }),
  accessLine({ bytesSent: null }),
  accessLine({ route: 7 }),
  accessLine({ route: undefined }),
]) {
  test(`"${line.slice(-60)}" is malformed`, () => assert.is(readAccessLine(line), null))
}

test('the routes are those that nginx can name, and two for the rest', () => {
  assert.equal(
    [...ROUTES].filter((route) => !route.startsWith(':')),
    [
      '/',
      '/health',
      '/api/',
      '/comfyui/0/',
      '/comfyui/0/health',
      '/comfyui/1/',
      '/comfyui/1/health',
      '/comfyui/',
      'none',
      'other',
    ],
  )
  assert.is([...ROUTES].filter((route) => /^:\d+$/.test(route)).length, 2)
})

test('requests are counted by route and status, unknown ones in a place of their own', () => {
  const totals = emptyAccessTotals()
  for (const change of [
    {},
    { status: 304 },
    { status: 418 },
    { status: 503, requestSeconds: 90 },
    { route: '' },
    { route: '/comfyui/0/../../etc' },
  ]) {
    countAccess(totals, ROUTES, readAccessLine(accessLine(change))!)
  }
  const comfyui = totals.routes.get('/comfyui/0/')!
  assert.equal(Object.fromEntries(comfyui.codes), { 200: 1, 304: 1, '4xx': 1, 503: 1 })
  assert.equal([...comfyui.durations.keys()], ['2xx', '3xx', '4xx', '5xx'])
  assert.is(comfyui.durations.get('5xx')!.sum, 90)
  assert.is(comfyui.bytesSent, 4800)
  assert.equal([...totals.routes.keys()], ['/comfyui/0/', 'none', 'other'])
})

test('totals survive being kept, without routes that are gone', () => {
  const totals = emptyAccessTotals()
  for (const status of [200, 200, 418, 502]) {
    countAccess(totals, ROUTES, readAccessLine(accessLine({ status, requestSeconds: status / 100 }))!)
  }
  totals.malformedLines = 3
  const kept = JSON.parse(JSON.stringify(dumpAccessTotals(totals)))
  assert.equal(restoreAccessTotals(kept, ROUTES), totals)
  assert.equal(restoreAccessTotals(kept, new Set(['/other/'])).routes.size, 0)
})

test('a record that is not of this boot, or not whole, is a new beginning', () => {
  const file = `${temporaryDirectory()}/run/metrics.json`
  const totals = emptyAccessTotals()
  countAccess(totals, ROUTES, readAccessLine(accessLine())!)
  const record = { bootId: 'a', totals, position: { inode: 7, offset: 9 } }
  assert.is(loadRecord(file, 'a', ROUTES), null)
  saveRecord(file, record)
  assert.equal(loadRecord(file, 'a', ROUTES), record)
  assert.is(loadRecord(file, 'b', ROUTES), null)
  const text = readFileSync(file, 'utf8')
  for (const spoiled of [
    '',
    text.slice(0, -9),
    '{"bootId":"a"}',
    'null',
    text.replace('"inode":7', '"inode":"x"'),
    text.replace(/"counts":\[/, '"counts":[0,'),
    text.replace('"bytesSent":1200', '"bytesSent":-1'),
  ]) {
    writeFileSync(file, spoiled)
    assert.is(loadRecord(file, 'a', ROUTES), null, spoiled)
  }
})

/** A log directory in the hands of a logger, and a follower of it. */
function logInHand(options: { from?: LogPosition | null; directory?: string } = {}) {
  const directory = options.directory ?? `${temporaryDirectory()}/nginx-access`
  mkdirSync(directory, { recursive: true })
  const seen: string[] = []
  const counts = { broken: 0, gaps: 0 }
  const follower = createLineFollower({
    directory,
    from: options.from ?? 'end',
    onLines: (lines) => void seen.push(...lines),
    onBrokenLine: () => {
      counts.broken += 1
    },
    onGap: () => {
      counts.gaps += 1
    },
  })
  let rotations = 0
  return {
    directory,
    seen,
    counts,
    follower,
    write: (text: string) => appendFileSync(`${directory}/current`, text),
    rotate: () => {
      rotations += 1
      renameSync(`${directory}/current`, `${directory}/@4000000066${String(rotations).padStart(14, '0')}.s`)
      writeFileSync(`${directory}/current`, '')
    },
    forgetOldest: () => rmSync(`${directory}/@4000000066${String(1).padStart(14, '0')}.s`),
  }
}

test('a follower begins at the end of what is there, and then loses nothing over rotations', async () => {
  const log = logInHand()
  log.write('old\n')
  await log.follower.advance()
  log.write('a\nb')
  await log.follower.advance()
  assert.equal(log.seen, ['a'])
  assert.is(log.follower.behindBytes(), 1)
  log.write('b\n')
  log.rotate()
  log.write('c\n')
  log.rotate()
  log.rotate()
  log.write('d\n')
  await log.follower.advance()
  assert.equal(log.seen, ['a', 'bb', 'c', 'd'])
  assert.equal(log.counts, { broken: 0, gaps: 0 })
  await log.follower.close()
})

test('a log that appears later is read from its beginning', async () => {
  const log = logInHand()
  await log.follower.advance()
  assert.is(log.follower.position(), null)
  log.write('a\n')
  await log.follower.advance()
  assert.equal(log.seen, ['a'])
  await log.follower.close()
})

test('a follower goes on where another one was, in whatever file that is by now', async () => {
  const first = logInHand()
  first.write('x\n')
  await first.follower.advance()
  first.write('a\nb\n')
  await first.follower.advance()
  const from = first.follower.position()
  await first.follower.close()
  first.write('c\n')
  first.rotate()
  first.write('d\n')
  const second = logInHand({ from, directory: first.directory })
  await second.follower.advance()
  assert.equal(second.seen, ['c', 'd'])
  assert.equal(second.counts, { broken: 0, gaps: 0 })
  await second.follower.close()
})

test('a follower that is closed while it reads has read up to where it says', async () => {
  const log = logInHand()
  log.write('')
  await log.follower.advance()
  const lines = Array.from({ length: 100_000 }, (_, index) => `line ${index}`)
  log.write(lines.map((line) => `${line}\n`).join(''))
  log.rotate()
  const reading = log.follower.advance()
  while (log.seen.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await log.follower.close()
  await reading
  assert.ok(log.seen.length < lines.length, 'it had read all of it')
  const second = logInHand({ from: log.follower.position(), directory: log.directory })
  await second.follower.advance()
  await second.follower.close()
  assert.equal([...log.seen, ...second.seen], lines)
})

test('files that were rotated away unread are a gap that is told', async () => {
  const log = logInHand()
  log.write('x\n')
  await log.follower.advance()
  const from = log.follower.position()
  await log.follower.close()
  log.write('lost\n')
  log.rotate()
  log.write('b\n')
  log.rotate()
  log.write('c\n')
  log.forgetOldest()
  const second = logInHand({ from, directory: log.directory })
  await second.follower.advance()
  assert.equal(second.seen, ['b', 'c'])
  assert.equal(second.counts, { broken: 0, gaps: 1 })
  await second.follower.close()
})

test('while the logger renames, nothing is read twice and nothing is a gap', async () => {
  const log = logInHand()
  log.write('')
  await log.follower.advance()
  log.write('a\n')
  log.rotate()
  log.write('b\n')
  await log.follower.advance()
  renameSync(`${log.directory}/current`, `${log.directory}/previous`)
  await log.follower.advance()
  await log.follower.advance()
  renameSync(`${log.directory}/previous`, `${log.directory}/@400000006700000000000000.s`)
  writeFileSync(`${log.directory}/current`, 'c\n')
  await log.follower.advance()
  assert.equal(log.seen, ['a', 'b', 'c'])
  assert.equal(log.counts, { broken: 0, gaps: 0 })
  await log.follower.close()
})

test('a line of megabytes and one that is cut off are counted and cost no memory', async () => {
  const log = logInHand()
  log.write('')
  await log.follower.advance()
  log.write(`a\n${'x'.repeat(5_000_000)}\nb\n`)
  await log.follower.advance()
  log.write('cut')
  log.rotate()
  log.write('c\n')
  await log.follower.advance()
  assert.equal(log.seen, ['a', 'b', 'c'])
  assert.equal(log.counts, { broken: 2, gaps: 0 })
  await log.follower.close()
})

test('whatever is written, rotated and read in whatever order, each line is given once', async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.array(fc.stringMatching(/^[a-z]{0,9}$/), { maxLength: 5 }) },
    { weight: 1, arbitrary: fc.constant('rotate' as const) },
    { weight: 2, arbitrary: fc.constant('advance' as const) },
    { weight: 1, arbitrary: fc.constant('restart' as const) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      let log = logInHand()
      log.write('')
      await log.follower.advance()
      const { write, rotate, directory } = log
      const [written, seen]: [string[], string[]] = [[], []]
      for (const one of steps) {
        if (one === 'rotate') rotate()
        else if (one === 'advance') await log.follower.advance()
        else if (one === 'restart') {
          await log.follower.close()
          seen.push(...log.seen)
          log = logInHand({ from: log.follower.position(), directory })
        } else {
          written.push(...one)
          write(one.map((line) => `${line}\n`).join(''))
        }
      }
      await log.follower.advance()
      await log.follower.advance()
      await log.follower.close()
      assert.equal([...seen, ...log.seen], written)
      assert.equal(log.counts, { broken: 0, gaps: 0 })
    }),
    { numRuns: 60 },
  )
})

test.run()
