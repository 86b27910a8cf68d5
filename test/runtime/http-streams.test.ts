import { connect, type Socket } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { EventJournal } from '../../runtime/sidecar/events/event-journal.ts'
import { type HttpMachine, logLine, memoryJournal, memoryLogs, startHttpMachine, WITH_TOKEN } from './http-machine.ts'
import { until } from './local-tree.ts'

interface Message {
  readonly id?: string
  readonly event?: string
  readonly data: Record<string, unknown>
}

interface Stream {
  readonly status: number
  readonly type: string
  readonly messages: Message[]
  readonly comments: string[]
  readonly ended: Promise<void>
  readonly leave: () => void
}

/** Follows a stream of server-sent events, or of text lines. */
async function open(machine: HttpMachine, path: string, headers: Record<string, string> = {}): Promise<Stream> {
  const controller = new AbortController()
  const response = await fetch(`http://127.0.0.1:${machine.port}${path}`, { headers, signal: controller.signal })
  const [messages, comments]: [Message[], string[]] = [[], []]
  const read = async () => {
    let pending = ''
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (pending + chunk).split('\n\n')
      pending = blocks.pop() ?? ''
      for (const block of blocks) {
        if (block.startsWith(':')) comments.push(block)
        else if (!block.startsWith('retry:')) messages.push(parse(block))
      }
    }
  }
  const type = response.headers.get('content-type') ?? ''
  const ended = read().catch(() => {})
  return { status: response.status, type, messages, comments, ended, leave: () => controller.abort() }
}

function parse(block: string): Message {
  const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2)))
  return { ...fields, data: JSON.parse(fields.data) } as Message
}

const ids = ({ messages }: Stream) => messages.map(({ id }) => Number(id))
const fill = (journal: EventJournal, count: number) => {
  for (let index = 0; index < count; index += 1) journal.append({ type: 'health.digest', context: { index } })
}

async function withJournal(firstSeq = 1, streamTimes = { heartbeatMs: 15_000, stallMs: 30_000 }) {
  const machine = await startHttpMachine({ streamTimes })
  const memory = memoryJournal(firstSeq)
  machine.parts.journal = memory.journal
  return { machine, ...memory }
}

test('a stream of events goes on where the client left off, without a gap and without one twice', async () => {
  const { machine, journal, followers } = await withJournal()
  fill(journal, 250)
  const first = await open(machine, '/events?since=3')
  await until('what was there has come', 5000, () => first.messages.length === 247)
  fill(journal, 5)
  await until('the new ones have come', 5000, () => first.messages.length === 252)
  first.leave()
  await first.ended
  fill(journal, 10)
  const seen = ids(first).at(-1)!
  const second = await open(machine, '/events?since=3', { 'last-event-id': String(seen) })
  await until('the rest has come', 5000, () => second.messages.length === 10)
  assert.equal(
    [...ids(first), ...ids(second)],
    Array.from({ length: 262 }, (_, index) => index + 4),
  )
  assert.equal(second.messages[0]!.data.type, 'health.digest')
  assert.match(second.type, /^text\/event-stream/)
  second.leave()
  await until('nobody follows the journal any more', 5000, () => followers() === 0)
  await machine.close()
  assert.equal(machine.errors, [])
})

test('without a number a stream begins with the next event', async () => {
  const { machine, journal } = await withJournal()
  fill(journal, 5)
  const stream = await open(machine, '/events')
  fill(journal, 2)
  await until('both have come', 5000, () => stream.messages.length === 2)
  assert.equal(ids(stream), [6, 7])
  await machine.close()
})

test('events that are gone are told of as a gap, and numbers that began anew as such', async () => {
  const { machine, journal, forget } = await withJournal(100)
  fill(journal, 10)
  forget(4)
  const late = await open(machine, '/events?since=101')
  await until('the gap and the rest have come', 5000, () => late.messages.length === 7)
  assert.equal([late.messages[0]!.event, late.messages[0]!.data], ['gap', { from: 102, to: 103 }])
  assert.is(late.messages[1]!.id, '104')
  const lost = await open(machine, '/events?since=5000')
  await until('the reset and what there is have come', 5000, () => lost.messages.length === 7)
  assert.equal(lost.messages[0], { event: 'reset', data: { asked: 5000, firstSeq: 104, lastSeq: 109 } })
  const all = await open(machine, '/events?since=0')
  await until('all that is kept has come', 5000, () => all.messages.length === 6)
  assert.is(all.messages[0]!.id, '104')
  await machine.close()
})

test('a page of events says where to go on', async () => {
  const { machine, journal } = await withJournal()
  fill(journal, 5)
  const page = (await machine.ask('/events?follow=0&since=1&limit=3')).body
  assert.equal([page.count, page.next, page.firstSeq, page.lastSeq], [3, 4, 1, 5])
  assert.equal((await machine.ask('/events?follow=0&since=5')).body, {
    events: [],
    count: 0,
    firstSeq: 1,
    lastSeq: 5,
    next: 5,
  })
  assert.is((await machine.ask('/events', { headers: { 'last-event-id': 'abc' } })).status, 400)
  await machine.close()
})

test('a silent stream has a heartbeat', async () => {
  const { machine } = await withJournal(1, { heartbeatMs: 30, stallMs: 30_000 })
  const stream = await open(machine, '/events')
  await until('three heartbeats have come', 5000, () => stream.comments.length >= 3)
  await machine.close()
})

/** Asks for a stream and reads nothing of it. */
function openWithoutReading(port: number, path: string): Socket {
  const socket = connect({ host: '127.0.0.1', port })
  socket.pause()
  socket.on('error', () => {})
  const head = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${WITH_TOKEN.authorization}\r\n\r\n`
  socket.on('connect', () => socket.write(head))
  return socket
}

test('a reader that takes nothing costs no memory and is cut', async () => {
  const { machine, journal, followers } = await withJournal(1, { heartbeatMs: 100, stallMs: 700 })
  let taken = 0
  const since = journal.since
  machine.parts.journal = {
    ...journal,
    since: (seq, limit) => {
      const events = since(seq, limit)
      taken += events.length
      return events
    },
  }
  const text = 'x'.repeat(4000)
  for (let index = 0; index < 10_000; index += 1) journal.append({ type: 'health.digest', context: { text } })
  const socket = openWithoutReading(machine.port, '/events?since=0')
  await until('it follows', 5000, () => followers() === 1)
  await new Promise((resolve) => setTimeout(resolve, 300))
  const takenEarly = taken
  await until('it is cut', 10_000, () => followers() === 0)
  assert.ok(takenEarly < 5000 && taken === takenEarly, `took ${takenEarly}, then ${taken} of 10000 events`)
  socket.destroy()
  await machine.close()
  assert.equal(machine.errors, [])
})

test('a reader that leaves in the middle of a stream lets go of it', async () => {
  const { machine, journal, followers } = await withJournal()
  for (let round = 0; round < 20; round += 1) {
    const stream = await open(machine, '/events?since=0')
    fill(journal, 3)
    stream.leave()
    await stream.ended
  }
  await until('nobody follows', 5000, () => followers() === 0)
  await machine.close()
  assert.equal(machine.errors, [])
})

test('streams that wait behind another one let go of everything when their connection ends', async () => {
  const { machine, followers } = await withJournal()
  machine.parts.logs = memoryLogs([])
  for (const path of ['/events', '/logs?follow=1']) {
    const head = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${WITH_TOKEN.authorization}\r\n\r\n`
    const socket = connect({ host: '127.0.0.1', port: machine.port })
    await new Promise((resolve) => socket.once('data', resolve).write(head.repeat(40)))
    socket.destroy()
  }
  await until('nobody follows the journal', 5000, () => followers() === 0)
  await until('all places for followers are free', 5000, async () => {
    const streams = await Promise.all(Array.from({ length: 32 }, () => open(machine, '/logs?follow=1', WITH_TOKEN)))
    for (const { leave } of streams) leave()
    return streams.every(({ status }) => status === 200)
  })
  await machine.close()
  assert.equal(machine.errors, [])
})

test('logs are followed as events, and as text in the first machines\u2019 routes', async () => {
  const machine = await startHttpMachine()
  const logs = memoryLogs([logLine('nginx', 'old'), logLine('comfyui-gpu0', 'other')])
  machine.parts.logs = logs
  const stream = await open(machine, '/services/nginx/logs?follow=1', WITH_TOKEN)
  await until('the old line has come', 5000, () => stream.messages.length === 1)
  logs.push(logLine('nginx', 'new\nand its second line'))
  await until('the new line has come', 5000, () => stream.messages.length === 2)
  assert.equal(
    stream.messages.map(({ data }) => data.message),
    ['old', 'new\nand its second line'],
  )
  const response = await fetch(`http://127.0.0.1:${machine.port}/comfyui/logs?gpu=0&stream=true`, {
    headers: WITH_TOKEN,
  })
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  assert.match((await reader.read()).value ?? '', /other\n$/)
  logs.push(logLine('comfyui-gpu0', 'more'))
  assert.match((await reader.read()).value ?? '', /more\n$/)
  await reader.cancel()
  stream.leave()
  await machine.close()
  assert.equal(machine.errors, [])
})

test('no more streams of logs are open at once than there are places', async () => {
  const machine = await startHttpMachine()
  machine.parts.logs = memoryLogs([])
  const follow = () => open(machine, '/logs?follow=1', WITH_TOKEN)
  const streams = await Promise.all(Array.from({ length: 32 }, follow))
  const refused = await machine.ask('/logs?follow=1', { headers: WITH_TOKEN })
  assert.equal([refused.status, refused.body.error.code, refused.headers['retry-after']], [503, 'BUSY', '1'])
  streams[0]!.leave()
  await until('a place is free', 5000, async () => {
    const stream = await follow()
    stream.leave()
    return stream.status === 200
  })
  for (const stream of streams) stream.leave()
  await machine.close()
})

test('the sidecar ends at once, whoever still reads', async () => {
  const { machine, journal } = await withJournal()
  fill(journal, 10)
  const streams = await Promise.all(Array.from({ length: 5 }, () => open(machine, '/events?since=0')))
  const startedMs = Date.now()
  await machine.close()
  await Promise.all(streams.map(({ ended }) => ended))
  assert.ok(Date.now() - startedMs < 1000)
})

test.run()
