import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ANNOUNCE_CHANNEL, FLEET_STREAM, statusKey } from '../../runtime/sidecar/events/redis-voice.ts'
import { resumePoint } from '../../runtime/sidecar/events/resume-point.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { journalAndOutbox, MACHINE, STREAM, step } from './event-outbox.ts'
import { eventFlaw } from './event-schema.ts'
import { freePorts, until } from './local-tree.ts'
import { certificates, endAtLast, endLeftovers, redisServer } from './redis-server.ts'
import { readStream } from './stream-reader.ts'

test.after(endLeftovers)

function client(port: number, password?: string): Redis {
  const redis = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 50, ...(password ? { password } : {}) })
  redis.on('error', () => {})
  endAtLast(() => redis.disconnect())
  return redis
}

test('each event is in both streams, announcements are heard, and the status expires', async () => {
  const server = await redisServer()
  const redis = client(server.port)
  const listener = client(server.port)
  const heard: string[] = []
  listener.on('message', (_, text) => heard.push(JSON.parse(text).type))
  await listener.subscribe(ANNOUNCE_CHANNEL)
  const it = journalAndOutbox({ url: server.url })
  it.journal.append({ type: 'machine.started' })
  it.journal.append({ type: 'worker.state', service: 'w', worker: 'm-worker-0', status: 'announcing' })
  it.journal.append(step(3))
  await it.untilSent()
  await until('the announcements are heard', 3000, () => heard.length === 2)
  assert.equal(heard, ['machine.started', 'worker.state'])
  for (const stream of [STREAM, FLEET_STREAM]) {
    const entries = await redis.xrange(stream, '-', '+')
    assert.equal(
      entries.map(([, fields]) => fields[0]),
      ['event', 'event', 'event'],
    )
    const events = entries.map(([, fields]) => JSON.parse(fields[1]!))
    assert.equal(events.map(eventFlaw), [null, null, null])
    assert.equal(
      events.map(({ seq }) => seq),
      [1, 2, 3],
    )
  }
  await until('the status follows', 3000, async () => (await redis.hget(statusKey(MACHINE), 'seq')) === '3')
  const lifetime = await redis.ttl(statusKey(MACHINE))
  assert.ok(lifetime > 20 && lifetime <= 30, `${lifetime}`)
  assert.ok((await redis.ttl(STREAM)) > 86_400)
  assert.equal(it.outbox.state(), { connected: true, depth: 0, published: 3, failures: 0, problem: null })
  assert.equal(it.lines, [`publishes events to Redis at 127.0.0.1:${server.port}`])
  await it.close()
  redis.disconnect()
  listener.disconnect()
})

test('Redis killed and restarted under load, without persistence: nothing lost, nothing out of order', async () => {
  await survive(['--save', ''], 20)
})

test('Redis killed and restarted under load, with an append-only file', async () => {
  await survive(['--save', '', '--appendonly', 'yes'], 8)
})

async function survive(words: readonly string[], deaths: number): Promise<void> {
  const server = await redisServer(words)
  const it = journalAndOutbox({ url: server.url, delayMs: (_, failures) => Math.min(50 * failures, 250) })
  const reader = readStream(server.port, STREAM)
  const load = setInterval(() => it.append(2), 4)
  for (let death = 0; death < deaths; death++) {
    await sleep(80 + 300 * Math.random())
    await server.kill()
    await sleep(200 * Math.random())
    await server.start()
    await it.untilState('it is back', ({ connected }) => connected)
  }
  clearInterval(load)
  await it.untilSent()
  await until('the reader has all', 15_000, () => reader.events.at(-1)?.seq === it.journal.lastSeq())
  assert.equal(reader.flaws, [])
  assert.is(reader.events.length, it.journal.lastSeq())
  assert.ok(it.journal.lastSeq() > deaths * 50, `${it.journal.lastSeq()} events`)
  const outages = it.lines.filter((line) => line.includes('events wait in the journal'))
  assert.ok(outages.length <= 2 * deaths, 'an outage is said once, and perhaps that Redis loads')
  reader.close()
  await it.close()
}

test('30,000 events that came while Redis was away follow in order when it is back', async () => {
  const server = await redisServer()
  const it = journalAndOutbox({ url: server.url, delayMs: () => 100 })
  it.append(10)
  await it.untilSent()
  await server.kill()
  await it.untilState('the loss is seen', ({ connected }) => !connected)
  it.append(30_000)
  assert.is(it.outbox.state().depth, 30_000)
  await server.start()
  const reader = readStream(server.port, STREAM)
  await it.untilSent(30_000)
  await until('the reader has all', 15_000, () => reader.events.at(-1)?.seq === 30_010)
  const redis = client(server.port)
  const kept = await redis.xlen(STREAM)
  assert.ok(kept >= 10_000 && kept < 11_000, `${kept} are kept`)
  redis.disconnect()
  reader.close()
  await it.close()
})

test('a Redis that lost its data gets the history again, once', () => {
  const journal = { firstSeq: () => 1, lastSeq: () => 500 }
  assert.is(resumePoint(500, 500, journal), 500)
  assert.is(resumePoint(400, 450, journal), 400, 'the answer was lost with the connection')
  assert.is(resumePoint(500, 450, journal), 450, 'its file lacked the last second')
  assert.is(resumePoint(500, null, journal), 0, 'it came back empty')
  assert.is(resumePoint(null, 450, journal), 450, 'the cursor is gone')
  assert.is(resumePoint(null, null, journal), 0)
  assert.is(resumePoint(100, 9000, journal), 100, 'its stream is from another life of the machine')
  assert.is(resumePoint(900, 450, journal), 450, 'the volume is older than the cursor')
  const long = { firstSeq: () => 20_001, lastSeq: () => 60_000 }
  assert.is(resumePoint(60_000, null, long), 50_000, 'as much as the stream holds')
  assert.is(resumePoint(19_000, null, long), 19_000, 'what was never sent is not left out')
  assert.is(resumePoint(null, null, long), 50_000)
  assert.is(resumePoint(null, 3, long), 20_000)
  assert.is(resumePoint(55_000, Number.POSITIVE_INFINITY, long), 55_000, 'the stream may not be read')
})

test('a wrong password is said once, clearly and without it; it works when the password does', async () => {
  const server = await redisServer(['--save', '', '--requirepass', 'right-one'])
  const delays: string[] = []
  const delayMs = (kind: string) => {
    delays.push(kind)
    return 60
  }
  const url = `redis://:wrong-one@127.0.0.1:${server.port}`
  const it = journalAndOutbox({ url, delayMs })
  it.append(3)
  await until('it was tried some times', 5000, () => delays.length > 4)
  assert.ok(delays.every((kind) => kind === 'refused'))
  assert.is(it.lines.length, 1)
  assert.match(
    it.lines[0]!,
    `cannot publish events to Redis at 127.0.0.1:${server.port}: it refuses the user or password`,
  )
  assert.not.match(it.lines.join() + it.outbox.state().problem, 'wrong-one')
  const redis = client(server.port, 'right-one')
  await redis.config('SET', 'requirepass', 'wrong-one')
  await it.untilSent()
  assert.is(it.outbox.state().problem, null)
  assert.match(it.lines[1]!, 'publishes events')
  redis.disconnect()
  await it.close()
})

test('no password where one is wanted, and a user without the rights, are said as such', async () => {
  const server = await redisServer(['--save', '', '--requirepass', 'right-one'])
  const none = journalAndOutbox({ url: server.url, delayMs: () => 60 })
  await none.untilState('it is refused', ({ problem }) => problem !== null)
  assert.match(none.lines[0]!, 'it wants a password')
  await none.close()
  const redis = client(server.port, 'right-one')
  await redis.call('ACL', 'SETUSER', 'ann', 'on', '>hush-hush', '~*', '&*', '+@connection')
  const ann = journalAndOutbox({ url: `redis://ann:hush-hush@127.0.0.1:${server.port}`, delayMs: () => 60 })
  ann.append(3)
  await ann.untilState('it is refused', ({ problem }) => problem !== null)
  assert.match(ann.lines[0]!, 'the user of redis.url lacks a right')
  const rights = ['+xadd', '+publish', '+hset', '+expire', '+multi', '+exec']
  await redis.call('ACL', 'SETUSER', 'ann', 'resetkeys', `~machine:${MACHINE}:*`, '~machines:events', ...rights)
  await ann.untilSent()
  assert.is(await redis.xlen(STREAM), 3, 'a user who may not read writes all the same')
  redis.disconnect()
  await ann.close()
})

test('TLS: with its authority it works, without it the certificate is refused', async () => {
  const directory = certificates()
  const files = ['--tls-cert-file', 'server.pem', '--tls-key-file', 'server.key', '--tls-ca-cert-file', 'ca.pem']
  const words = files.map((word) => (word.startsWith('--') ? word : `${directory}/${word}`))
  const server = await redisServer(['--save', '', ...words, '--tls-auth-clients', 'no'], false)
  const url = `rediss://localhost:${server.port}`
  const trusting = journalAndOutbox({ url, certificateAuthority: `${directory}/ca.pem` })
  trusting.append(3)
  await trusting.untilSent()
  await trusting.close()
  const doubting = journalAndOutbox({ url })
  doubting.append(3)
  await doubting.untilState('it is refused', ({ problem }) => problem !== null)
  assert.match(doubting.lines[0]!, /cannot reach Redis at localhost:\d+: .*(certificate|issuer)/)
  await doubting.close()
})

test('a connection that hangs is noticed, and everything follows when Redis goes on', async () => {
  const server = await redisServer()
  const it = journalAndOutbox({ url: server.url, timeoutMs: 300, delayMs: () => 100 })
  const reader = readStream(server.port, STREAM)
  it.append(10)
  await it.untilSent()
  server.pause()
  it.append(500)
  await it.untilState('the silence is noticed', ({ problem }) => problem !== null)
  assert.match(it.lines.join('\n'), 'it does not answer any more within 0.3 s')
  it.append(500)
  await sleep(700)
  server.resume()
  await it.untilSent()
  await until('the reader has all', 15_000, () => reader.events.at(-1)?.seq === 1010)
  assert.equal(reader.flaws, [])
  reader.close()
  await it.close()
})

test('a replica that takes no writes, and one that becomes the master', async () => {
  const [old, other] = [await redisServer(), await redisServer()]
  const redis = client(old.port)
  await redis.call('REPLICAOF', '127.0.0.1', String(other.port))
  const it = journalAndOutbox({ url: old.url, delayMs: () => 100 })
  it.append(5)
  await it.untilState('it is refused', ({ problem }) => problem !== null)
  assert.match(String(it.outbox.state().problem), /replica|loads its data|master is away/)
  await redis.call('REPLICAOF', 'NO', 'ONE')
  await it.untilSent()
  redis.disconnect()
  await it.close()
})

test('Sentinels are asked for the master, the next one where one is away', async () => {
  const master = await redisServer()
  const [sentinelPort, nobody] = await freePorts(2)
  const directory = temporaryDirectory()
  const monitor = `sentinel monitor main 127.0.0.1 ${master.port} 1`
  writeFileSync(`${directory}/sentinel.conf`, `port ${sentinelPort}\nbind 127.0.0.1\ndir ${directory}\n${monitor}\n`)
  const sentinel = spawn('redis-server', [`${directory}/sentinel.conf`, '--sentinel'], { stdio: 'ignore' })
  try {
    const url = `redis+sentinel://127.0.0.1:${nobody},127.0.0.1:${sentinelPort}/main/2`
    const it = journalAndOutbox({ url, delayMs: () => 100 })
    it.append(4)
    await it.untilSent()
    const redis = new Redis({ port: master.port, host: '127.0.0.1', db: 2 })
    assert.is(await redis.xlen(STREAM), 4)
    redis.disconnect()
    await it.close()
  } finally {
    sentinel.kill('SIGKILL')
  }
})

test('a goodbye is heard, takes no time where Redis is away, and a second where it hangs', async () => {
  const server = await redisServer()
  const it = journalAndOutbox({ url: server.url })
  it.append(100)
  it.journal.append({ type: 'machine.stopped' })
  await it.outbox.goodbye(1000)
  const redis = client(server.port)
  assert.is(await redis.xlen(STREAM), 101, 'also where nothing was connected yet')
  redis.disconnect()
  it.journal.close()

  const hanging = journalAndOutbox({ url: server.url })
  await hanging.untilState('it is connected', ({ connected }) => connected)
  server.pause()
  hanging.append(1)
  let startedMs = performance.now()
  await hanging.outbox.goodbye(1000)
  assert.ok(performance.now() - startedMs < 1500)
  server.resume()
  hanging.journal.close()
  await server.kill()

  const away = journalAndOutbox({ url: server.url })
  away.append(1)
  await away.untilState('it is away', ({ problem }) => problem !== null)
  startedMs = performance.now()
  await away.outbox.goodbye(1000)
  assert.ok(performance.now() - startedMs < 100)
  away.journal.close()
})

test.run()
