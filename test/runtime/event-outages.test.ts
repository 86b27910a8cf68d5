/**
 * Long outages, compressed: Redis is away, and the disk is full, for some seconds under a load of 50 events a second.
 * `EVENT_LONG=1 npm run test:only -- event-outages event-kill` takes ten minutes, one minute, and 100 kills.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openFileJournal } from '../../runtime/sidecar/events/file-journal.ts'
import { statusKey } from '../../runtime/sidecar/events/redis-voice.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { type JournalAndOutbox, journalAndOutbox, MACHINE, STREAM } from './event-outbox.ts'
import { until } from './local-tree.ts'
import { endAtLast, endLeftovers, redisServer } from './redis-server.ts'
import { readStream, type StreamReader } from './stream-reader.ts'

const isLong = process.env.EVENT_LONG === '1'
const AWAY_MS = isLong ? 600_000 : 6000
const FULL_MS = isLong ? 60_000 : 4000

test.after(endLeftovers)

/** 50 events a second. */
function load(it: JournalAndOutbox): () => void {
  const timer = setInterval(() => it.append(1), 20)
  return endAtLast(() => clearInterval(timer))
}

async function assertWhole(it: JournalAndOutbox, reader: StreamReader): Promise<void> {
  await it.untilSent(30_000)
  await until('the reader has all', 30_000, () => reader.events.at(-1)?.seq === it.journal.lastSeq())
  assert.equal(reader.flaws, [])
  assert.is(reader.events.length, it.journal.lastSeq())
  assert.is(
    reader.events.some(({ type }) => type === 'events.lost'),
    false,
  )
}

test(`Redis away for ${AWAY_MS / 1000} s: nothing lost, nothing out of order, and the status is there at once`, async () => {
  const server = await redisServer()
  const it = journalAndOutbox({ url: server.url })
  const reader = readStream(server.port, STREAM)
  const unload = load(it)
  await sleep(1000)
  await server.kill()
  const memoryBefore = process.memoryUsage().rss
  await sleep(AWAY_MS)
  const away = it.outbox.state()
  assert.is(away.connected, false)
  assert.ok(away.depth > AWAY_MS / 40, `${away.depth} events wait`)
  assert.ok(process.memoryUsage().rss - memoryBefore < 60e6, 'what waits is on the disk')
  await server.start()
  await it.untilState('it is back', ({ connected }) => connected)
  const redis = new Redis({ port: server.port, host: '127.0.0.1' })
  endAtLast(() => redis.disconnect())
  await until('the status is there', 15_000, () => redis.exists(statusKey(MACHINE)))
  unload()
  await assertWhole(it, reader)
  reader.close()
  await it.close()
})

const canMount = process.getuid?.() === 0 && trial()

function trial(): boolean {
  const directory = temporaryDirectory()
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]).status !== 0) return false
  return spawnSync('umount', [directory]).status === 0
}

const onSmallDisk = canMount ? test : test.skip

onSmallDisk(
  `a disk that is full for ${FULL_MS / 1000} s: Redis hears all in order, and the journal has it`,
  async () => {
    const root = temporaryDirectory()
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', root])
    try {
      const server = await redisServer()
      const said: (string | null)[] = []
      const it = journalAndOutbox({ root, url: server.url, journal: { onProblem: (problem) => said.push(problem) } })
      const reader = readStream(server.port, STREAM)
      const unload = load(it)
      await sleep(500)
      spawnSync('sh', ['-c', `cat /dev/zero >${root}/ballast 2>/dev/null`])
      await until('it is said', 10_000, () => said.length > 0)
      await sleep(FULL_MS)
      rmSync(`${root}/ballast`)
      await until('it writes again', 10_000, () => said.at(-1) === null)
      unload()
      await assertWhole(it, reader)
      const lastSeq = it.journal.lastSeq()
      reader.close()
      await it.close()
      const paths = { state: `${root}/state`, run: `${root}/run` }
      const again = openFileJournal({ paths, bootId: 'boot-2', machine: MACHINE, onProblem: () => {} })
      const kept: number[] = []
      for (let seq = 0; seq < lastSeq; seq = kept.at(-1) ?? lastSeq) {
        kept.push(...again.since(seq, 1000).map((event) => event.seq))
      }
      assert.is(kept.length, lastSeq)
      again.close()
    } finally {
      execFileSync('umount', ['-l', root])
    }
  },
)

test.run()
