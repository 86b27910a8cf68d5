import { linkSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryDirectory } from '../temporary-directory.ts'
import { EVERYTHING, messagesOf, startLogWriter, storeOf } from './log-writer.ts'

/** What s6-log makes of lines, read back. */
async function readBack(text: string, options: Parameters<typeof startLogWriter>[1] = {}): Promise<string[]> {
  const directory = `${temporaryDirectory()}/app`
  const writer = startLogWriter(directory, options)
  await writer.write(text)
  await writer.end()
  return await messagesOf(storeOf({ app: directory }))
}

const plainLine = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 300 })
  .map((text) => `x${text.replace(/[\0-\x1f\x7f-\x9f\u2028\u2029\ufffd]/g, '_').replace(/[\ud800-\udfff]/g, '?')}`)

const longLine = fc.integer({ min: 8000, max: 30_000 }).map((length) => `long ${'é'.repeat(length / 2)} end`)
const traceback = fc
  .integer({ min: 1, max: 30 })
  .map(
    (depth) =>
      `Traceback (most recent call last):\n${'  File "/app/x.py", line 3, in run\n    work()\n'.repeat(depth)}ValueError: deep`,
  )
const jsonLine = fc.nat().map((n) => ({ message: `message ${n}` }))

test('whatever lines are written, exactly those come back in their order, across rotations', async () => {
  const entry = fc.oneof(
    { weight: 20, arbitrary: plainLine },
    { weight: 1, arbitrary: longLine },
    { weight: 2, arbitrary: traceback },
    { weight: 3, arbitrary: jsonLine },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { maxLength: 200 }),
      fc.constantFrom('t' as const, 'T' as const),
      async (entries, stamp) => {
        const texts = entries.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)))
        const messages = entries.map((item) => (typeof item === 'string' ? item : item.message))
        const read = await readBack(texts.map((text) => `${text}\n`).join(''), { stamp })
        assert.equal(read, messages)
      },
    ),
    { numRuns: 40, timeout: 60_000 },
  )
})

test('pages by cursor give every line once, whatever their size', async () => {
  const directory = `${temporaryDirectory()}/app`
  const other = `${temporaryDirectory()}/other`
  const writers = [startLogWriter(directory), startLogWriter(other, { stamp: '' })]
  const times = Array.from({ length: 300 }, (_, n) => Date.UTC(2026, 0, 31) + Math.floor(n / 40) * 1000)
  const access = times.map((at, n) => `{"timestamp":"${new Date(at).toISOString()}","message":"other ${n}"}\n`)
  await writers[0]!.write(Array.from({ length: 500 }, (_, n) => `line ${n}\n`).join(''))
  await writers[1]!.write(access.join(''))
  await Promise.all(writers.map((writer) => writer.end()))
  const store = storeOf({ app: directory, other })
  const all = await messagesOf(store)
  assert.is(all.length, 800)
  for (const lines of [1, 7, 33, 400, 1000]) {
    const collected: string[] = []
    let page = await store.query({ ...EVERYTHING, lines })
    for (;;) {
      collected.unshift(...page.lines.map(({ message }) => message))
      if (page.older === null) break
      page = await store.query({ ...EVERYTHING, lines, before: page.older })
    }
    assert.equal(collected, all, `pages of ${lines}`)
  }
})

test('a cursor of the newest line gives what was written after it', async () => {
  const directory = `${temporaryDirectory()}/app`
  const writer = startLogWriter(directory)
  await writer.write(`one\n${'filler of some length\n'.repeat(300)}two\n`)
  await settled(directory, 'two')
  const store = storeOf({ app: directory })
  const { newer } = await store.query({ ...EVERYTHING, lines: 1 })
  assert.equal(await messagesOf(store, { after: newer }), [])
  await writer.write(`${'more\n'.repeat(500)}three\n`)
  await writer.end()
  const after = await messagesOf(store, { after: newer })
  assert.equal(after, [...Array.from({ length: 500 }, () => 'more'), 'three'])
})

test('lines of all services are merged by time and chosen by service, gpu and level', async () => {
  const root = temporaryDirectory()
  const names = ['nginx', 'comfyui-gpu0', 'comfyui-gpu1']
  const writers = names.map((name) => startLogWriter(`${root}/${name}`))
  for (let round = 0; round < 5; round += 1) {
    for (const [index, writer] of writers.entries()) {
      await writer.write(`${index === 1 ? 'ERROR: ' : ''}${names[index]} ${round}\n`)
      await settled(`${root}/${names[index]}`, `${names[index]} ${round}`)
    }
  }
  await Promise.all(writers.map((writer) => writer.end()))
  const store = storeOf(Object.fromEntries(names.map((name) => [name, `${root}/${name}`])))
  const { lines } = await store.query(EVERYTHING)
  assert.equal(
    lines.map(({ service }) => service),
    Array.from({ length: 5 }, () => names).flat(),
  )
  assert.equal(
    (await store.query({ ...EVERYTHING, gpu: 1, lines: 2 })).lines.map(({ message, gpu }) => [message, gpu]),
    [
      ['comfyui-gpu1 3', 1],
      ['comfyui-gpu1 4', 1],
    ],
  )
  const errors = (await store.query({ ...EVERYTHING, level: 'warn' })).lines
  assert.is(errors.length, 5)
  assert.ok(errors.every(({ service, level }) => service === 'comfyui-gpu0' && level === 'error'))
  assert.equal(await messagesOf(store, { services: ['nginx'], grep: 'NGINX 3' }), ['nginx 3'])
  assert.equal(await messagesOf(store, { services: ['nginx', 'comfyui-gpu1'], pattern: /x 2$|1 0$/ }), [
    'comfyui-gpu1 0',
    'nginx 2',
  ])
  assert.equal(await messagesOf(store, { services: ['nobody'] }), [])
})

test('times choose lines in whichever file they are', async () => {
  const directory = `${temporaryDirectory()}/app`
  const writer = startLogWriter(directory)
  const marks: number[] = []
  for (let part = 0; part < 6; part += 1) {
    await writer.write(Array.from({ length: 120 }, (_, n) => `part ${part} line ${n} ${'.'.repeat(40)}\n`).join(''))
    await settled(directory, `part ${part} line 119`)
    await new Promise((resolve) => setTimeout(resolve, 20))
    marks.push(Date.now())
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await writer.end()
  const store = storeOf({ app: directory })
  const parts = async (from: number, to: number) =>
    new Set((await messagesOf(store, { sinceMs: marks[from]!, untilMs: marks[to]! })).map((text) => text.slice(0, 6)))
  assert.equal([...(await parts(0, 2))], ['part 1', 'part 2'])
  assert.equal([...(await parts(3, 5))], ['part 4', 'part 5'])
  assert.is((await messagesOf(store, { untilMs: marks[3]! })).length, 480)
  assert.is((await messagesOf(store, { sinceMs: Date.now() })).length, 0)
})

test('a pattern that takes for ever is refused, and the next question is answered', async () => {
  const directory = `${temporaryDirectory()}/app`
  const writer = startLogWriter(directory)
  await writer.write(`${'a'.repeat(60)}!\n`)
  await writer.end()
  const store = storeOf({ app: directory })
  try {
    await messagesOf(store, { pattern: /^(a+)+$/ })
    assert.unreachable()
  } catch (error) {
    assert.is((error as { code?: string }).code, 'SLOW_PATTERN')
  }
  assert.is((await messagesOf(store, { pattern: /^a+!$/ })).length, 1)
})

test('a line of 5 MB is cut with a mark, and its neighbours are whole', async () => {
  const [before, long, after, ...rest] = await readBack(`before\n${'x'.repeat(5_000_000)}\nafter\n`)
  assert.equal([before, after, rest], ['before', 'after', []])
  assert.is(long!.length < 70_000, true)
  assert.match(long!, /^x{60000,}\[\.\.\. \d+ bytes left out\]$/)
})

test('a torn last line of a killed logger is a line; one that is being written is not shown yet', async () => {
  const directory = `${temporaryDirectory()}/app`
  const writer = startLogWriter(directory)
  await writer.write('whole\n')
  await writer.end()
  const [first] = readdirSync(directory).filter((name) => name === 'current')
  assert.is(first, 'current')
  writeFileSync(`${directory}/current`, '@400000006b02088a29420d3f half', { flag: 'a' })
  const store = storeOf({ app: directory })
  assert.equal(await messagesOf(store), ['whole'])
  writeFileSync(`${directory}/@400000006b02088a39420d3f.u`, '@400000006b02088a29420d3f older half')
  assert.equal(await messagesOf(store), ['older half', 'whole'])
})

test('a clock that is set back changes no order, and pages still give every line once', async () => {
  const directory = temporaryDirectory()
  const seconds = [10, 20, 30, 12, 13, 14, 40, 41, 5, 50]
  const lines = seconds.map((second, n) => `@400000006b0208${second.toString(16).padStart(2, '0')}00000000 line ${n}\n`)
  writeFileSync(`${directory}/current`, lines.join(''))
  const store = storeOf({ app: directory })
  const all = seconds.map((_, n) => `line ${n}`)
  assert.equal(await messagesOf(store), all)
  const collected: string[] = []
  let page = await store.query({ ...EVERYTHING, lines: 3 })
  for (;;) {
    collected.unshift(...page.lines.map(({ message }) => message))
    if (page.older === null) break
    page = await store.query({ ...EVERYTHING, lines: 3, before: page.older })
  }
  assert.equal(collected, all)
})

test('files that have two names, or the one between two rotations, are read once', async () => {
  const directory = temporaryDirectory()
  const write = (name: string, text: string) =>
    writeFileSync(`${directory}/${name}`, `@400000006b02080100000000 ${text}\n`)
  write('@400000006b02080200000000.s', 'one')
  write('@400000006b02080300000000.s', 'two')
  linkSync(`${directory}/@400000006b02080300000000.s`, `${directory}/previous`)
  write('current', 'three')
  const store = storeOf({ app: directory })
  assert.equal(await messagesOf(store), ['one', 'two', 'three'])
  linkSync(`${directory}/@400000006b02080300000000.s`, `${directory}/@400000006b02080400000000.u`)
  assert.equal(await messagesOf(store), ['one', 'two', 'three'])
  rmSync(`${directory}/previous`)
  renameSync(`${directory}/current`, `${directory}/previous`)
  assert.equal(await messagesOf(store), ['one', 'two', 'three'])
  write('current', 'four')
  assert.equal(await messagesOf(store), ['one', 'two', 'three', 'four'])
  // As it starts after it was killed.
  renameSync(`${directory}/previous`, `${directory}/@400000006b02080500000000.u`)
  linkSync(`${directory}/current`, `${directory}/@400000006b02080600000000.u`)
  assert.equal(await messagesOf(store), ['one', 'two', 'three', 'four'])
})

test('bytes that are no UTF-8, zeros and a missing directory hurt nobody', async () => {
  const directory = `${temporaryDirectory()}/app`
  const writer = startLogWriter(directory)
  await writer.write('first\n')
  await writer.end()
  writeFileSync(`${directory}/current`, Buffer.from([0, 0, 0, 0x62, 0xff, 0xfe, 0x61, 0x0a]), { flag: 'a' })
  assert.equal(await messagesOf(storeOf({ app: directory, gone: '/nonexistent/log' })), ['first', 'b\ufffd\ufffda'])
})

test('an answer stops at its time limit and says where to go on', async () => {
  const directory = `${temporaryDirectory()}/app`
  const writer = startLogWriter(directory, { bytes: 1_000_000 })
  await writer.write(Array.from({ length: 60_000 }, (_, n) => `line ${n} of some length to read\n`).join(''))
  await writer.end()
  const store = storeOf({ app: directory }, 0)
  const page = await store.query({ ...EVERYTHING, grep: 'line 59999' })
  assert.is(page.isPartial, true)
  assert.ok(page.older !== null)
  const patient = storeOf({ app: directory })
  assert.equal((await messagesOf(patient, { grep: 'line 7 ', before: page.older })).length, 1)
})

test('the last lines of a service come quickly, without the requests that nginx answered', async () => {
  const directory = `${temporaryDirectory()}/app`
  const writer = startLogWriter(directory, { bytes: 1_000_000 })
  await writer.write(Array.from({ length: 50_000 }, (_, n) => `line ${n}\n`).join(''))
  await writer.end()
  const store = storeOf({ app: directory })
  const startedMs = performance.now()
  const lines = await store.lastLines('app', 20)
  assert.is(lines.length, 20)
  assert.is(lines.at(-1)!.message, 'line 49999')
  assert.ok(performance.now() - startedMs < 500)
})

/** Waits until s6-log has written a text. */
async function settled(directory: string, text: string): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const messages = await messagesOf(storeOf({ app: directory }), { lines: 200 })
    if (messages.some((message) => message.includes(text))) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`"${text}" was not written to "${directory}"`)
}

test.run()
