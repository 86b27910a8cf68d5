import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { followLogDirectory } from '../../runtime/shared/logs/follow-directory.ts'
import type { LogFilter, LogStore } from '../../runtime/shared/logs/log-store.ts'
import type { LogPosition } from '../../runtime/shared/logs/log-tail.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { EVERYTHING, messagesOf, restartLogWriter, startLogWriter, storeOf } from './log-writer.ts'

const ends: AbortController[] = []

// A test that failed leaves no follower that would keep the process alive.
test.after.each(() => {
  for (const end of ends.splice(0)) end.abort()
})

/** A follower that keeps what it gets. */
function follow(store: LogStore, filter: Partial<LogFilter> = {}) {
  const end = new AbortController()
  ends.push(end)
  const messages: string[] = []
  const done = (async () => {
    for await (const { message } of store.follow({ ...EVERYTHING, ...filter }, end.signal)) {
      messages.push(message)
    }
  })()
  return {
    messages,
    end: () => {
      end.abort()
      return done
    },
  }
}

async function until(what: string, isSo: () => boolean, limitMs = 60_000): Promise<void> {
  const startedMs = performance.now()
  while (!isSo()) {
    if (performance.now() - startedMs > limitMs) throw new Error(`waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Files and watches that this process holds in a directory. */
function heldIn(directory: string): { files: string[]; watches: number } {
  const links = readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [{ fd, target: readlinkSync(`/proc/self/fd/${fd}`) }]
    } catch {
      return []
    }
  })
  const watches = links
    .filter(({ target }) => target === 'anon_inode:inotify')
    .map(({ fd }) => readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').split('inotify wd:').length - 1)
  return {
    files: links.map(({ target }) => target).filter((target) => target.startsWith(directory)),
    watches: watches.reduce((sum, count) => sum + count, 0),
  }
}

test('a follower gets the last lines and then each new one, once, across many rotations and kills of the logger', async () => {
  const root = temporaryDirectory()
  const names = ['one', 'two']
  const store = storeOf(Object.fromEntries(names.map((name) => [name, `${root}/${name}`])))
  const written: Record<string, string[]> = { one: [], two: [] }
  const early = follow(store)
  const late: ReturnType<typeof follow>[] = []
  await Promise.all(
    names.map(async (name, index) => {
      let writer = startLogWriter(`${root}/${name}`)
      for (let batch = 0; batch < 60; batch += 1) {
        const lines = Array.from({ length: 40 }, (_, n) => `${name} ${batch}.${n} ${'.'.repeat((n * 7) % 90)}`)
        await writer.write(lines.map((line) => `${line}\n`).join(''))
        written[name]!.push(...lines)
        if (batch % 7 === 3 + index) {
          // What the killed logger had not read yet is lost with its pipe, so it is let finish first.
          await until('the logger has written', () => lastText(`${root}/${name}`).includes(lines.at(-1)!))
          await writer.kill()
          writer = await restartLogWriter(`${root}/${name}`)
        }
        if (index === 0 && batch % 20 === 10) late.push(follow(store, { services: ['one'] }))
        if (batch % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 15))
      }
      await writer.end()
    }),
  )
  const total = written.one!.length + written.two!.length
  await until('the early follower has all', () => early.messages.length >= total)
  for (const follower of late) await until('a late one has all', () => follower.messages.length >= written.one!.length)
  await new Promise((resolve) => setTimeout(resolve, 300))
  await Promise.all([early, ...late].map((follower) => follower.end()))
  for (const name of names) {
    assert.equal(
      early.messages.filter((message) => message.startsWith(name)),
      written[name],
    )
    assert.equal(await messagesOf(store, { services: [name] }), written[name])
  }
  for (const follower of late) assert.equal(follower.messages, written.one)
  await until('all is closed', () => heldIn(root).files.length === 0)
})

/** The end of the newest file that is not empty. */
function lastText(directory: string): string {
  const names = readdirSync(directory)
    .filter((name) => name.startsWith('@') || name === 'current' || name === 'previous')
    .sort((a, b) => Number(a === 'current') - Number(b === 'current') || (a < b ? -1 : 1))
  for (const name of names.reverse()) {
    try {
      const text = readFileSync(`${directory}/${name}`, 'utf8')
      if (text !== '') return text.slice(-500)
    } catch {
      // Renamed meanwhile.
    }
  }
  return ''
}

test('queries while files rotate never miss a line that was there, nor show one twice', async () => {
  const directory = `${temporaryDirectory()}/app`
  const writer = startLogWriter(directory)
  const store = storeOf({ app: directory })
  let isDone = false
  const writing = (async () => {
    for (let n = 0; n < 6000; n += 20) {
      await writer.write(Array.from({ length: 20 }, (_, i) => `line ${n + i}\n`).join(''))
      if (n % 200 === 0) await new Promise((resolve) => setTimeout(resolve, 4))
    }
    await writer.end()
    isDone = true
  })()
  let seen = 0
  let queries = 0
  while (!isDone) {
    const messages = await messagesOf(store)
    assert.equal(
      messages,
      messages.map((_, n) => `line ${n}`),
    )
    assert.ok(messages.length >= seen, `${messages.length} lines after ${seen}`)
    seen = messages.length
    queries += 1
  }
  await writing
  assert.is((await messagesOf(store)).length, 6000)
  assert.ok(queries > 3)
})

test('a traceback that is printed while followed is one line', async () => {
  const directory = `${temporaryDirectory()}/app`
  const writer = startLogWriter(directory)
  const follower = follow(storeOf({ app: directory }), { level: 'error' })
  await writer.write('starts\n')
  const text = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nKeyError: 1'
  await writer.write(`${text}\n`)
  await until('the traceback came without a line after it', () => follower.messages.length > 0)
  await writer.end()
  await follower.end()
  assert.equal(follower.messages, [text])
})

test('a slow reader gets every line, and nothing is read ahead of it', async () => {
  const directory = `${temporaryDirectory()}/app`
  const writer = startLogWriter(directory)
  const store = storeOf({ app: directory })
  const end = new AbortController()
  const lines = store.follow({ ...EVERYTHING, lines: 0 }, end.signal)[Symbol.asyncIterator]()
  const first = lines.next()
  await new Promise((resolve) => setTimeout(resolve, 300))
  const before = process.memoryUsage().rss
  for (let batch = 0; batch < 40; batch += 1) await writer.write('z'.repeat(999).concat('\n').repeat(1000))
  await writer.end()
  assert.is((await first).value!.message.length, 999)
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 150_000_000, `grew by ${grown}`)
  let count = 1
  // s6-log keeps a thousand files of 4 KB here, so what the reader was too slow for is gone, and it is told so.
  let told = ''
  while (told === '' && count < 50_000) {
    const { value } = await lines.next()
    count += 1
    if (!value!.message.startsWith('z')) told = value!.message
  }
  assert.match(told, 'lines are missing here')
  end.abort()
  await lines.return?.()
})

test('whoever leaves leaves nothing behind: no file, no watch, no timer', async () => {
  const root = temporaryDirectory()
  const writers = ['one', 'two', 'three'].map((name) => startLogWriter(`${root}/${name}`))
  for (const writer of writers) await writer.write('hello\n')
  const store = storeOf({ one: `${root}/one`, two: `${root}/two`, three: `${root}/three` })
  await until('all is written', () => ['one', 'two', 'three'].every((name) => lastText(`${root}/${name}`) !== ''))
  const before = heldIn(root)
  for (let round = 0; round < 5; round += 1) {
    const followers = Array.from({ length: 10 }, () => follow(store))
    await until('all have lines', () => followers.every(({ messages }) => messages.length === 3))
    assert.ok(heldIn(root).files.length >= 30)
    await Promise.all(followers.map((follower) => follower.end()))
  }
  // One that is aborted while its reader is busy with a line, and never asks again.
  const end = new AbortController()
  const stuck = store.follow(EVERYTHING, end.signal)[Symbol.asyncIterator]()
  await stuck.next()
  end.abort()
  await until('all is closed', () => heldIn(root).files.length === 0)
  const after = heldIn(root)
  assert.ok(after.watches <= before.watches, `${after.watches} watches, ${before.watches} before`)
  await Promise.all(writers.map((writer) => writer.end()))
  assert.equal(
    process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length <= 1,
    true,
    process.getActiveResourcesInfo().join(' '),
  )
})

test('a program that counts lines gets each once, also when it goes on where another one ended', async () => {
  const directory = `${temporaryDirectory()}/access`
  const writer = startLogWriter(directory, { stamp: '' })
  const seen: string[] = []
  let position: LogPosition | 'start' = 'start'
  let written = 0
  for (let life = 0; life < 6; life += 1) {
    const followed = followLogDirectory(directory, {
      from: position,
      onLines: (lines) => void seen.push(...lines.map(({ text }) => text)),
    })
    for (let n = 0; n < 20; n += 1) {
      const lines = Array.from({ length: 25 }, (_, i) => `{"status":200,"n":${written + i}}\n`)
      await writer.write(lines.join(''))
      written += 25
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await until('all lines came', () => seen.length >= written)
    position = followed.position()!
    followed.close()
    // Lines that come while nobody counts are counted by the next.
    await writer.write(Array.from({ length: 300 }, (_, i) => `{"status":200,"n":${written + i}}\n`).join(''))
    written += 300
  }
  await writer.end()
  const last = followLogDirectory(directory, {
    from: position,
    onLines: (lines) => void seen.push(...lines.map(({ text }) => text)),
  })
  await until('the rest came', () => seen.length >= written)
  last.close()
  const first = seen.findIndex((text, n) => text !== `{"status":200,"n":${n}}`)
  assert.is(first, -1, `line ${first} is ${seen[first]}`)
  assert.is(seen.length, written)
  await until('all is closed', () => heldIn(directory).files.length === 0)
})

test('a place whose file is gone is not confused with another file of the same inode', async () => {
  const directory = `${temporaryDirectory()}/access`
  const writer = startLogWriter(directory, { stamp: '', files: 2 })
  const first: string[] = []
  const one = followLogDirectory(directory, {
    from: 'start',
    onLines: (lines) => void first.push(...lines.map(({ text }) => text)),
  })
  await writer.write('{"n":0}\n')
  await until('the first came', () => first.length === 1)
  const position = one.position()!
  one.close()
  for (let n = 0; n < 30; n += 1) await writer.write(`{"n":${n}, "x":"${'.'.repeat(1000)}"}\n`.repeat(10))
  await writer.end()
  for (const inode of new Set([position.inode, ...inodesIn(directory)])) {
    const seen: string[] = []
    const two = followLogDirectory(directory, {
      from: { ...position, inode },
      onLines: (lines) => void seen.push(...lines.map(({ text }) => text)),
    })
    const { length } = readdirSync(directory)
    assert.ok(length > 0)
    await until('what is left came', () => seen.some((text) => text.includes('"n":29')))
    two.close()
    assert.ok(seen[0]!.startsWith('{"n":'), seen[0])
  }
})

function inodesIn(directory: string): number[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter(({ name }) => name.startsWith('@') || name === 'current')
    .map(({ name }) => statSync(`${directory}/${name}`).ino)
}

test.run()
