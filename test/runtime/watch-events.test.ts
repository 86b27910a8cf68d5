import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { MachineEvent } from '../../runtime/shared/machine-event.ts'
import { FLEET_STREAM } from '../../runtime/sidecar/events/redis-voice.ts'
import { createFleetKeeper } from '../../runtime/watch/fleet-keeper.ts'
import { WatchError } from '../../runtime/watch/follow-stream.ts'
import { type PrintOptions, printEvents } from '../../runtime/watch/print-events.ts'
import { findSource } from '../../runtime/watch/watch.ts'
import { until } from './local-tree.ts'
import { endAtLast, endLeftovers, type RedisServer, redisServer } from './redis-server.ts'

test.after(endLeftovers)

const PERSISTENT = ['--appendonly', 'yes', '--save', '']

function clientOf({ port }: RedisServer): Redis {
  const redis = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 20 })
  redis.on('error', () => {})
  endAtLast(() => redis.disconnect())
  return redis
}

const eventOf = (seq: number, more: Partial<MachineEvent> = {}): MachineEvent => ({
  v: 1,
  bootId: 'boot-1',
  seq,
  at: new Date().toISOString(),
  machine: 'box-1',
  type: 'service.ready',
  service: 'nginx',
  status: 'ready',
  ...more,
})

async function add(redis: Redis, ...events: readonly (MachineEvent | string)[]): Promise<void> {
  for (const event of events) {
    await redis.xadd(FLEET_STREAM, '*', 'event', typeof event === 'string' ? event : JSON.stringify(event))
  }
}

/** Follows the fleet until it is told to end. */
function follow(url: string, more: Partial<PrintOptions> = {}) {
  const events: MachineEvent[] = []
  const said: string[] = []
  const controller = new AbortController()
  const end = endAtLast(() => controller.abort())
  const source = findSource({ url, urlPlace: '--redis', certificateAuthority: null, machine: null })
  const ended = printEvents({
    source: { ...source, delayMs: () => 50 },
    since: { kind: 'all' },
    isOnce: false,
    isWanted: () => true,
    write: async (text) => {
      for (const line of text.split('\n').slice(0, -1)) events.push(JSON.parse(line))
    },
    say: (line) => said.push(line),
    signal: controller.signal,
    ...more,
  })
  ended.catch(() => {})
  return { events, said, end, ended, seqs: () => events.map(({ seq }) => seq) }
}

const numbers = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index)

test('history and what comes after it are one row without a gap, though Redis dies in the middle of 200 events a second', async () => {
  const server = await redisServer(PERSISTENT)
  const redis = clientOf(server)
  await add(redis, ...numbers(1, 300).map((seq) => eventOf(seq)))
  const watcher = follow(server.url)
  const writing = (async () => {
    for (let seq = 301; seq <= 1300; seq += 1) {
      // As a machine does it: again until it is taken, so that one may come twice.
      while (
        !(await add(redis, eventOf(seq)).then(
          () => true,
          () => false,
        ))
      );
      await sleep(4)
    }
  })()
  for (let death = 0; death < 3; death += 1) {
    await sleep(1000)
    await server.kill()
    await sleep(300)
    await server.start()
  }
  await writing
  await until('all are there', 30_000, () => watcher.events.at(-1)?.seq === 1300)
  assert.equal(watcher.seqs(), numbers(1, 1300))
  assert.ok(watcher.said.some((line) => line.startsWith('reads again after')))
  assert.not(watcher.said.some((line) => line.includes('missing')))
  watcher.end()
  await watcher.ended
})

test('a stream that was trimmed past what was read says how many are missing, of which machine', async () => {
  const server = await redisServer()
  const redis = clientOf(server)
  await add(redis, ...numbers(1, 10).map((seq) => eventOf(seq)))
  let isBlocked = false
  let unblock = () => {}
  const events: MachineEvent[] = []
  const watcher = follow(server.url, {
    write: async (text) => {
      for (const line of text.split('\n').slice(0, -1)) events.push(JSON.parse(line))
      if (isBlocked) await new Promise<void>((resolve) => (unblock = resolve))
    },
  })
  await until('the history', 5000, () => events.length === 10)
  isBlocked = true
  await add(redis, eventOf(11))
  await until('the reader is busy', 5000, () => events.length === 11)
  await add(redis, ...numbers(12, 60).map((seq) => eventOf(seq)))
  await redis.xtrim(FLEET_STREAM, 'MAXLEN', 20)
  isBlocked = false
  unblock()
  await until('the rest', 5000, () => events.at(-1)?.seq === 60)
  assert.equal(
    events.map(({ seq }) => seq),
    [...numbers(1, 11), ...numbers(41, 60)],
  )
  assert.equal(watcher.said, ['29 events of "box-1" (12 to 40) are missing: the stream does not have them any more'])
  watcher.end()
  await watcher.ended
})

test('what a Redis that lost its data gets again is not told again, and nothing after it is lost', async () => {
  const server = await redisServer()
  const redis = clientOf(server)
  await add(redis, ...numbers(1, 20).map((seq) => eventOf(seq)))
  const watcher = follow(server.url)
  await until('the history', 5000, () => watcher.events.length === 20)
  await redis.flushall()
  // Its clock is behind: the new stream has smaller ids than the one before.
  await redis.xadd(FLEET_STREAM, '5-1', 'event', JSON.stringify(eventOf(20)))
  await redis.xadd(FLEET_STREAM, '5-2', 'event', JSON.stringify(eventOf(21)))
  await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until('the new one', 10_000, () => watcher.events.length === 21)
  assert.equal(watcher.seqs(), numbers(1, 21))
  watcher.end()
  await watcher.ended
})

test('entries that are no events are counted, hostile text comes out as harmless JSON', async () => {
  const server = await redisServer()
  const redis = clientOf(server)
  const hostile = eventOf(1, {
    error: { message: '\u001b]0;x\u0007\u009b2J\u202eabc\nsecond\u2028line' },
    status: 'x'.repeat(100_000),
  })
  const deep = JSON.stringify(eventOf(2)).replace(/}$/, `,"context":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`)
  const wrong = [
    'nonsense',
    '[]',
    'null',
    '{"v":1}',
    deep,
    JSON.stringify({ ...eventOf(3), seq: '3' }),
    JSON.stringify({ ...eventOf(3), service: { toString: 1 } }),
    JSON.stringify({ ...eventOf(3), at: 'never' }),
    JSON.stringify({ ...eventOf(3), progress: { bytes: 'many' } }),
  ]
  await add(redis, hostile, ...wrong, eventOf(3, { type: 'of.tomorrow' as MachineEvent['type'] }))
  await redis.xadd(FLEET_STREAM, '*', 'other', 'field')
  const lines: string[] = []
  const watcher = follow(server.url, {
    isOnce: true,
    write: async (text) => void lines.push(...text.split('\n').slice(0, -1)),
  })
  await watcher.ended
  assert.is(lines.length, 2)
  assert.not.match(lines.join(''), /[\u0000-\u001f\u007f-\u009f\u202e\u2028]/)
  assert.equal(JSON.parse(lines[0]!), hostile)
  assert.match(watcher.said.join('\n'), `${wrong.length + 1} entries of "${FLEET_STREAM}" were no events`)
})

test('a wrong password at the start ends it, said once and without the password', async () => {
  const server = await redisServer(['--requirepass', 'right-password', '--save', ''])
  const url = `redis://:wrong-password@127.0.0.1:${server.port}`
  const watcher = follow(url)
  const error = await watcher.ended.then(
    () => null,
    (failed: unknown) => failed,
  )
  assert.instance(error, WatchError)
  const { message, exitCode } = error as WatchError
  assert.match(
    message,
    `cannot read events from Redis at 127.0.0.1:${server.port}: it refuses the user or password of --redis`,
  )
  assert.not.match(message, 'wrong-password')
  assert.is(exitCode, 3)
  assert.equal(watcher.said, [])
})

test('the rights that docs/events.md names are enough for the table and for the events', async () => {
  const server = await redisServer()
  const redis = clientOf(server)
  const text = readFileSync('docs/events.md', 'utf8')
  const rule = /ACL SETUSER (watcher [^`]*)/.exec(text)?.[1]?.replace('>PASSWORD', '>watch-password') ?? ''
  await redis.call('ACL', 'SETUSER', ...rule.trim().split(/\s+/))
  await add(redis, eventOf(1))
  await redis.hset('machine:box-2:status', { boot_id: 'b', state: 'ready' })
  const url = server.url.replace('//', '//watcher:watch-password@')
  const watcher = follow(url, { isOnce: true, since: { kind: 'age', ms: 60_000 } })
  await watcher.ended
  assert.equal(watcher.seqs(), [1])

  const source = findSource({ url, urlPlace: '--redis', certificateAuthority: null, machine: null })
  const keeper = createFleetKeeper(source.stream, null)
  const open = await source.connect(() => {})
  await keeper.begin(open)
  open.close()
  assert.equal([...keeper.fleet().keys()].sort(), ['box-1', 'box-2'])
})

test('a Redis that is not there yet is waited for, said once', async () => {
  const server = await redisServer()
  await server.kill()
  const watcher = follow(server.url)
  await sleep(700)
  assert.is(watcher.said.length, 1)
  assert.match(watcher.said[0]!, 'ECONNREFUSED')
  await server.start()
  await add(clientOf(server), eventOf(1))
  await until('the event', 10_000, () => watcher.events.length === 1)
  watcher.end()
  await watcher.ended
})

test('events begin at a moment by the clock of Redis, after an event, or at the start of the stream', async () => {
  const server = await redisServer()
  const redis = clientOf(server)
  const nowMs = Date.now()
  for (const [seq, ageMs] of [
    [1, 7_200_000],
    [2, 3_000_000],
    [3, 60_000],
  ] as const) {
    await redis.xadd(FLEET_STREAM, `${nowMs - ageMs}-0`, 'event', JSON.stringify(eventOf(seq)))
  }
  const seen = async (since: PrintOptions['since']) => {
    const watcher = follow(server.url, { since, isOnce: true })
    await watcher.ended
    return watcher.seqs()
  }
  assert.equal(await seen({ kind: 'all' }), [1, 2, 3])
  assert.equal(await seen({ kind: 'age', ms: 3_600_000 }), [2, 3])
  assert.equal(await seen({ kind: 'time', ms: nowMs - 60_000 }), [3])
  assert.equal(await seen({ kind: 'seq', seq: 2 }), [3])
})

test.run()
