import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { MachineEvent } from '../../runtime/shared/machine-event.ts'
import { CLI, cleanEnvironment, machinegen, startMachinegen, waitFor } from '../fixtures/built-cli.ts'
import { endAtLast, endLeftovers, redisServer } from '../runtime/redis-server.ts'
import { startMachine, stopAll, stopMachine } from './running-machine.ts'

test.after(stopAll)
test.after(endLeftovers)

const MACHINE = `
machine: { id: watched-1, gpu: { count: 1, memoryGB: 24, model: X } }
services:
  nginx: {}
  comfyui: {}
redis: { url: '\${HUB_REDIS_URL:-}' }
`

const eventText = (seq: number) =>
  JSON.stringify({ v: 1, bootId: 'b', seq, at: '2026-11-21T21:38:15.743Z', machine: 'box-1', type: 'machine.ready' })

/** The command line on a terminal of its own. */
function onTerminal(words: readonly string[], environment: Readonly<Record<string, string>>) {
  const command = `stty cols 100 rows 30; ${[process.execPath, CLI, ...words].join(' ')}; echo "ended=$?"; stty -a`
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    env: cleanEnvironment({ TERM: 'xterm-256color', ...environment }),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  endAtLast(() => child.kill('SIGKILL'))
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return { text: () => text, type: (keys: string) => child.stdin.write(keys), ended, end: () => child.stdin.end() }
}

test('a simulated machine is seen by who watches: its whole life as events, and as a line of the table', async () => {
  const server = await redisServer()
  const environment = { HUB_REDIS_URL: server.url }
  const watcher = startMachinegen(['watch', '--machine', 'watched-1'], { environment })
  endAtLast(() => watcher.child.kill('SIGKILL'))
  const table = onTerminal(['watch'], environment)
  await waitFor('the empty table', () => table.text().includes('no machine has said anything yet'))
  const machine = await startMachine(MACHINE, environment)
  const events = () =>
    watcher.output.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as MachineEvent)
  await waitFor('it to be ready', () => events().some(({ type }) => type === 'machine.ready'), 60_000)
  await waitFor('the table to say so', () => /watched-1\s+\S*ready/.test(table.text()), 20_000)
  await stopMachine(machine)
  await waitFor('its goodbye', () => events().some(({ type }) => type === 'machine.stopped'))
  await waitFor('the table to say that too', () => /watched-1\s+\S*stopped/.test(table.text()))
  assert.equal(
    events().map(({ seq }) => seq),
    events().map((_, index) => index + 1),
    'each event once, none left out',
  )
  watcher.child.kill('SIGINT')
  assert.equal([await watcher.ended, watcher.output.stderr], [0, ''])

  table.type('q')
  await waitFor('the end of the table', () => table.text().includes('ended='))
  table.end()
  await table.ended
  assert.match(table.text(), 'ended=0')
  const [, afterwards = ''] = table.text().split('\u001b[?1049l')
  assert.match(afterwards, '\u001b[?7h')
  assert.match(afterwards, / icanon/, 'keys are lines again')
})

test('Ctrl-C ends the table too, with the terminal as it was; without colour where there is to be none', async () => {
  const server = await redisServer()
  const redis = new Redis({ port: server.port })
  endAtLast(() => redis.disconnect())
  await redis.xadd('machines:events', '*', 'event', eventText(1))
  const table = onTerminal(['watch'], { HUB_REDIS_URL: server.url, NO_COLOR: '1' })
  await waitFor('the machine', () => table.text().includes('box-1'))
  assert.not.match(table.text(), /\u001b\[\d+m/)
  await server.kill()
  await waitFor('the outage', () => table.text().includes('disconnected since'))
  await server.start()
  await waitFor('its end', () => !/disconnected since/.test(table.text().split('\u001b[H').at(-1) ?? ''), 15_000)
  table.type('\u0003')
  await waitFor('the end of the table', () => table.text().includes('ended='))
  table.end()
  await table.ended
  assert.match(table.text(), 'ended=0')
})

test('nobody who reads on ends it without a word', async () => {
  const server = await redisServer()
  const redis = new Redis({ port: server.port })
  endAtLast(() => redis.disconnect())
  await redis.xadd('machines:events', '*', 'event', eventText(1))
  const { child, output, ended } = startMachinegen(['watch'], { environment: { HUB_REDIS_URL: server.url } })
  endAtLast(() => child.kill('SIGKILL'))
  await waitFor('the history', () => output.stdout !== '')
  child.stdout.destroy()
  await sleep(50)
  await redis.xadd('machines:events', '*', 'event', eventText(2))
  assert.equal([await ended, output.stderr], [0, ''])
})

test('a reader who stops reading does not keep it from ending', async () => {
  const server = await redisServer()
  const redis = new Redis({ port: server.port })
  endAtLast(() => redis.disconnect())
  for (let seq = 1; seq <= 3000; seq += 1) await redis.xadd('machines:events', '*', 'event', eventText(seq))
  const child = spawn(process.execPath, [CLI, 'watch'], {
    env: cleanEnvironment({ HUB_REDIS_URL: server.url }),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  endAtLast(() => child.kill('SIGKILL'))
  child.stdout.pause()
  await sleep(1500)
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  assert.is(await ended, 0)
  child.stdout.destroy()
})

test('a command line that cannot work says why', () => {
  const run = (words: readonly string[], url = '') => {
    const { exitCode, stderr } = machinegen(['watch', ...words], { environment: { HUB_REDIS_URL: url } })
    return [exitCode, stderr] as const
  }
  for (const [words, exitCode, text] of [
    [[], 2, 'it is not said which Redis'],
    [['--redis', 'http://x'], 2, 'cannot use --redis: it is no URL of a Redis'],
    [['--redis', 'redis://127.0.0.1:1', '--once'], 3, 'cannot reach Redis at 127.0.0.1:1'],
    [['--redis', 'redis://127.0.0.1:1', '--since', 'soon'], 2, 'cannot begin at "soon"'],
    [['--redis', 'redis://127.0.0.1:1', '--since', '12'], 2, 'each machine has its own numbers'],
  ] as const) {
    const [actual, stderr] = run(words)
    assert.is(actual, exitCode, stderr)
    assert.match(stderr, text)
  }
})

test.run()
