import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { apiTokenFile } from '../../runtime/shared/api-token.ts'
import { until } from './local-tree.ts'
import { type MachineTree, supervise, untilState, writeMachine } from './supervised-machine.ts'

interface Context {
  tree: MachineTree
  stop: () => Promise<void>
}

const test = suite<Context>('logs of a real machine over HTTP')

const PRINTS = `
  console.log('\\x1b[32mINFO\\x1b[0m: begins')
  console.log(JSON.stringify({ level: 50, msg: 'cannot do it', jobId: 'job-7' }))
  console.error('Traceback (most recent call last):\\n  File "x.py", line 1, in <module>\\nValueError: no')
  let n = 0
  setInterval(() => console.log('tick ' + n++ + ' ' + '.'.repeat(200)), 20)`

test.before(async (context) => {
  context.tree = await writeMachine([
    {
      name: 'talker',
      gpu: 1,
      command: [process.execPath, '-e', PRINTS],
      probe: { kind: 'uptime', graceMs: 100 },
    },
  ])
  const { stop } = await supervise(context.tree)
  context.stop = stop
  await untilState(context.tree, 'talker', 'ready')
})

test.after(({ stop }) => stop())

const headersOf = ({ plan }: MachineTree) => ({
  authorization: `Bearer ${readFileSync(apiTokenFile(plan.paths), 'utf8').trim()}`,
})

test('what services print is read back in the one schema', async ({ tree }) => {
  const headers = headersOf(tree)
  const { status, body } = await tree.ask('/services/talker/logs?lines=10000', { headers })
  assert.is(status, 200)
  const [first, second, third] = body.logs
  assert.equal([first.level, first.message, first.service, first.gpu], ['info', 'INFO: begins', 'talker', 1])
  assert.equal([second.level, second.message, second.correlationId], ['error', 'cannot do it', 'job-7'])
  assert.equal([third.level, third.message.split('\n').length], ['error', 3])
  for (const { timestamp } of body.logs) assert.is(new Date(timestamp).toISOString(), timestamp)
  const errors = await tree.ask('/logs?level=error&gpu=1', { headers })
  assert.is(errors.body.logs.length, 2)
  const own = await tree.ask('/logs?service=sidecar&grep=listens', { headers })
  assert.match(own.body.logs[0].message, /^listens on port/)
  assert.ok(own.body.logs[0].correlationId !== null, 'the boot')
})

test('followers get each line once, and hold nothing when they have left', async ({ tree }) => {
  const headers = headersOf(tree)
  const { body } = await tree.ask('/services/sidecar')
  const held = () =>
    readdirSync(`/proc/${body.pid}/fd`).filter((fd) => {
      try {
        return readlinkSync(`/proc/${body.pid}/fd/${fd}`).includes('/logs/talker/')
      } catch {
        return false
      }
    }).length
  for (let round = 0; round < 3; round += 1) {
    const end = new AbortController()
    const url = `http://127.0.0.1:${tree.plan.sidecar.port}/services/talker/logs?follow=1&lines=5&grep=tick`
    const response = await fetch(url, { headers, signal: end.signal })
    const ticks: number[] = []
    let text = ''
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      ticks.splice(0, ticks.length, ...[...text.matchAll(/tick (\d+) \.{200}"/g)].map((match) => Number(match[1])))
      if (ticks.length > 60) break
    }
    end.abort()
    assert.equal(
      ticks,
      ticks.map((_, n) => ticks[0]! + n),
    )
  }
  await until('the sidecar has closed the files', 10_000, async () => (held() === 0 ? true : null))
})

test.run()
