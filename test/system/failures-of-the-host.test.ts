/**
 * What fails around the services: ports, disks, drivers, the clock. Each for real and under real supervisors, but for the
 * clock: it is the sidecar's alone that is set here, since no test may set that of the host.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { stopMachine } from '../../runtime/local/stop-machine.ts'
import { TREE_VARIABLE } from '../../runtime/local/tree-processes.ts'
import type { Plan } from '../../schema/plan.ts'
import { until } from '../runtime/local-tree.ts'
import { type MachineTree, portOf, supervise, untilState, writeMachine } from '../runtime/supervised-machine.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { budget, eventsOf, storyOf, untilOtherRun, web, withMachine } from './failing-machine.ts'

test('a port that a stranger has: no restart storm, the reason is shown, healed when the stranger leaves', async () => {
  const tree = await writeMachine([web('app', { restart: budget(100), startupTimeoutMs: 60_000 })])
  const stranger = createServer((socket) => socket.end('SSH-2.0-stranger\r\n'))
  await new Promise<void>((resolve) => stranger.listen(portOf(tree, 'app'), '127.0.0.1', resolve))
  const { stop } = await supervise(tree)
  try {
    const log = await until('its log tells of the port', 15_000, async () => {
      const text = readFileSync(`${tree.plan.paths.logs}/app/current`, 'utf8')
      return text.includes('EADDRINUSE') ? text : null
    })
    assert.match(log, /EADDRINUSE/)
    await until('its deaths are told', 10_000, async () => (await storyOf(tree, 'app')).includes('failed error'))
    const { body } = await tree.ask('/services/app')
    assert.is(body.ready, false, 'the answers of the stranger are not taken for its own')
    await new Promise((resolve) => stranger.close(resolve))
    const healed = await untilState(tree, 'app', 'ready', 20_000)
    assert.ok(healed.restarts > 0)
    assert.not((await storyOf(tree, 'app')).slice(0, -1).includes('ready'))
  } finally {
    stranger.close()
    await stop()
  }
})

const HANGING_NVIDIA_SMI = '#!/bin/sh\nexec sleep 1000\n'

test('nvidia-smi hangs: an alarm, and nothing else is late for it', async () => {
  const programs = temporaryDirectory()
  writeFileSync(`${programs}/nvidia-smi`, HANGING_NVIDIA_SMI)
  chmodSync(`${programs}/nvidia-smi`, 0o755)
  const path = process.env.PATH
  process.env.PATH = `${programs}:${path}`
  const gpus: Plan['gpus'] = [
    { index: 0, device: '0', memoryGB: 24, model: 'RTX 4090', mock: false } as unknown as Plan['gpus'][number],
  ]
  try {
    await withMachine(
      [web('app')],
      async (tree) => {
        const { pid } = await untilState(tree, 'app', 'ready', 5000)
        const startedMs = performance.now()
        assert.is((await tree.ask('/health')).status, 200)
        process.kill(pid, 'SIGKILL')
        await untilOtherRun(tree, 'app', pid)
        assert.ok(performance.now() - startedMs < 7000, 'healing does not wait for the driver')
        const alarm = await until('the alarm', 30_000, async () =>
          (await eventsOf(tree)).find(({ type }) => type === 'machine.alarm'),
        )
        assert.equal([alarm.status, alarm.error?.code], ['raised', 'GPUS_UNREADABLE'])
        assert.match(alarm.error!.message, /nvidia-smi/)
      },
      (plan) => ({ ...plan, gpus }),
    )
  } finally {
    process.env.PATH = path
  }
})

/** Loaded before the sidecar: its clock is what a file says beside the true one. */
const SHIFTED_CLOCK = (file: string) => `
import { readFileSync } from 'node:fs'
const RealDate = Date
let offset = 0
setInterval(() => { try { offset = Number(readFileSync(${JSON.stringify(file)}, 'utf8')) || 0 } catch {} }, 50).unref()
globalThis.Date = class extends RealDate {
  constructor(...parts) { parts.length === 0 ? super(RealDate.now() + offset) : super(...parts) }
  static now() { return RealDate.now() + offset }
}
`

test('the clock of the sidecar is set, forth and back by hours: it says so, and no patience is over', async () => {
  const directory = temporaryDirectory()
  const offset = `${directory}/offset`
  writeFileSync(`${directory}/clock.mjs`, SHIFTED_CLOCK(offset))
  const former = process.env.NODE_OPTIONS
  process.env.NODE_OPTIONS = `${former ?? ''} --import file://${directory}/clock.mjs`
  const drafts = [web('app'), web('slow', { delayMs: 6000, startupTimeoutMs: 20_000 })]
  try {
    await withMachine(drafts, async (tree) => {
      const before = await untilState(tree, 'app', 'ready')
      const slow = await untilState(tree, 'slow', 'starting')
      for (const hours of [3, -5]) {
        writeFileSync(offset, String(hours * 3_600_000))
        await until('it is said', 10_000, () => /the clock was set by/.test(sidecarLog(tree)))
        await pause(2500)
      }
      const after = await untilState(tree, 'slow', 'ready', 30_000)
      assert.equal([after.pid, after.restarts], [slow.pid, 0])
      const app = (await tree.ask('/services/app')).body
      assert.equal([app.pid, app.restarts, app.state], [before.pid, 0, 'ready'])
      process.kill(app.pid, 'SIGKILL')
      assert.is((await untilOtherRun(tree, 'app', app.pid)).restarts, 1, 'a death is still a death')
    })
  } finally {
    if (former === undefined) delete process.env.NODE_OPTIONS
    else process.env.NODE_OPTIONS = former
  }
})

const sidecarLog = ({ plan }: MachineTree): string => readFileSync(`${plan.paths.logs}/sidecar/current`, 'utf8')

/** A file system of its own, as small as it must be; `null` where that is not allowed here. */
function mountSmall(path: string, size: string): (() => void) | null {
  mkdirSync(path, { recursive: true })
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=755`, 'tmpfs', path], { stdio: 'pipe' })
    return () => execFileSync('umount', ['-l', path])
  } catch {
    return null
  }
}

/** Says some KB with each answer, and does not go on before somebody has taken it. */
const TALKER = `require('node:http').createServer((question, answer) => {
  require('node:fs').writeSync(1, 'word '.repeat(1600) + '\\n')
  answer.end('ok')
}).listen(process.env.PORT, '127.0.0.1')`

test('a disk that is full of logs: an alarm, all goes on, and the machine can be stopped', async () => {
  const talker = web('talker', { command: [process.execPath, '-e', TALKER] })
  const tree = await writeMachine([web('app'), talker])
  const { logs } = tree.plan.paths
  const unmount = mountSmall(logs, '2m')
  if (unmount === null) {
    console.log('SKIPPED: a full disk needs the right to mount one')
    return
  }
  const alarms = async (wanted: string) =>
    (await eventsOf(tree)).find(
      ({ type, status, context }) =>
        type === 'machine.alarm' && status === wanted && context?.alarm === `disk-full:${logs}`,
    )
  // By this those who stop a machine know what belongs to it.
  process.env[TREE_VARIABLE] = tree.root
  const { stop } = await supervise(tree)
  delete process.env[TREE_VARIABLE]
  try {
    const { pid } = await untilState(tree, 'app', 'ready')
    await untilState(tree, 'talker', 'ready')
    fillUp(`${logs}/filler`)
    const alarm = await until('the alarm', 30_000, () => alarms('raised'))
    assert.is(alarm.error?.code, 'DISK_FULL')
    process.kill(pid, 'SIGKILL')
    assert.is((await untilOtherRun(tree, 'app', pid)).restarts, 1)
    await pause(6000)
    const { body } = await tree.ask('/services/talker')
    assert.equal([body.state, body.restarts], ['ready', 0], 'more than a pipe holds was said, and nobody waits')
    assert.is((await tree.ask('/health')).status, 200)
    rmSync(`${logs}/filler`)
    await until('the alarm is over', 30_000, () => alarms('cleared'))
    fillUp(`${logs}/filler`)
    await pause(2000)
  } finally {
    // Loggers hold on to what they could not write: whoever only told the supervisors would wait for ever.
    const startedMs = performance.now()
    await stopMachine(tree.plan, () => {})
    await stop()
    unmount()
    assert.ok(performance.now() - startedMs < 20_000, 'the stop does not wait for room')
  }
})

function fillUp(file: string): void {
  const descriptor = openSync(file, 'a')
  try {
    for (;;) writeSync(descriptor, Buffer.alloc(4096))
  } catch {
    // It is full.
  } finally {
    closeSync(descriptor)
  }
}

test.run()
