import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { spoolDirectory, spoolEvent } from '../../runtime/shared/event-spool.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { STREAM } from './event-outbox.ts'
import { bundleProgram, until } from './local-tree.ts'
import { endAtLast, endLeftovers, redisServer } from './redis-server.ts'
import { readStream } from './stream-reader.ts'

/** `EVENT_LONG=1` takes 100 of them. */
const KILLS = Number(process.env.EVENT_KILLS ?? (process.env.EVENT_LONG === '1' ? 100 : 25))

test.after(endLeftovers)

test(`killed at ${KILLS} random moments, and Redis now and then too: nothing lost, nothing twice, nothing out of order`, async () => {
  const root = temporaryDirectory()
  const program = bundleProgram('test/runtime/event-child.ts', `${temporaryDirectory()}/event-child.mjs`)
  const server = await redisServer()
  const reader = readStream(server.port, STREAM)
  const kept = new Map<number, string>()
  const spooled: string[] = []
  const feed = setInterval(() => {
    spooled.push(`spooled ${spooled.length}`)
    spoolEvent(
      spoolDirectory({ state: `${root}/state` }),
      { type: 'provision.item', status: spooled.at(-1)! },
      Date.now(),
    )
  }, 15)
  endAtLast(() => clearInterval(feed))

  for (let kill = 0; kill < KILLS; kill++) {
    const child = startChild([program, root, server.url])
    await until('it says something', 10_000, () => child.output() !== '')
    await sleep(Math.random() * 250)
    if (kill % 6 === 3) {
      await server.kill()
      await server.start()
    }
    await child.kill()
    for (const [, seq, mark] of child.output().matchAll(/^(\d+) (\S{36})$/gm)) {
      assert.not(kept.has(Number(seq)), `${seq} was given twice`)
      kept.set(Number(seq), mark!)
    }
  }
  clearInterval(feed)
  const last = startChild([program, root, server.url, 'quiet'])
  const newest = Math.max(...kept.keys())
  const hasAll = () =>
    reader.events.at(-1)!.seq >= newest && reader.events.some(({ status }) => status === spooled.at(-1))
  await until('all is read', 15_000, hasAll)
  await last.kill()

  assert.equal(reader.flaws, [])
  assert.is(
    reader.events.some(({ type }) => type === 'events.lost'),
    false,
  )
  const read = new Map(reader.events.map(({ seq, context }) => [seq, context?.mark]))
  for (const [seq, mark] of kept) assert.is(read.get(seq), mark)
  const statuses = reader.events.flatMap(({ type, status }) => (type === 'provision.item' ? [status] : []))
  assert.equal(statuses, spooled, 'spooled events came once and in order')
  assert.ok(kept.size > KILLS * 5, `${kept.size} events`)
})

function startChild(words: readonly string[]) {
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const end = endAtLast(() => child.kill('SIGKILL'))
  const ended = new Promise((resolve) => child.once('close', resolve))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  return {
    output: () => output,
    kill: () => {
      end()
      return ended
    },
  }
}

test.run()
