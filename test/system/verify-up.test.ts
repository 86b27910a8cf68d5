import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { BootReport } from '../../runtime/provision/verify/boot-report.ts'
import {
  allReady,
  eventually,
  type RunningMachine,
  services,
  startMachine,
  stopAll,
  stopMachine,
} from './running-machine.ts'

test.after(stopAll)

const reportFile = ({ stateDirectory }: RunningMachine) =>
  join(stateDirectory, 'workspace/.machine/provision/boot-report.json')
const readReport = (machine: RunningMachine) => JSON.parse(readFileSync(reportFile(machine), 'utf8')) as BootReport
const logOf = ({ stateDirectory }: RunningMachine) =>
  readFileSync(join(stateDirectory, 'workspace/logs/verify/current'), 'utf8')

async function get<T>(machine: RunningMachine, path: string): Promise<T> {
  const token = readFileSync(join(machine.stateDirectory, 'workspace/.machine/api-token'), 'utf8').trim()
  const headers = { Authorization: `Bearer ${token}` }
  const answer = await fetch(`http://127.0.0.1:${9090 + machine.portOffset}${path}`, { headers })
  return (await answer.json()) as T
}

interface Events {
  readonly events: readonly { type: string; service?: string; context?: Record<string, unknown> }[]
}

test('a machine that works is tried as its users would, and the report, the event and the log say so', async () => {
  const machine = await startMachine(`
machine: { id: verify-test, gpu: { count: 2 } }
services:
  nginx: {}
  comfyui: {}
  automatic1111: {}
  ollama: { models: [llama3] }
  redisWorker: {}
  extra: { command: [sleep, "1000"] }
`)
  await eventually('all ready', () => allReady(machine), 90_000)
  const report = readReport(machine)
  assert.is(report.verdict, 'ready', JSON.stringify(report, null, 1))
  assert.type(report.readyAfterMs, 'number')
  const checked = (check: string) => report.checks.filter((one) => one.check === check && one.result === 'ok')
  assert.equal(
    checked('prompt').map(({ service }) => service),
    ['comfyui-gpu0', 'comfyui-gpu1'],
  )
  assert.equal(
    checked('prompt').map(({ detail }) => detail),
    ['a picture came out', 'a picture came out'],
  )
  assert.is(checked('options').length, 2)
  assert.match(checked('version')[0]!.detail, /^version \d/)
  assert.is(checked('credential')[0]!.detail, 'it lets its credential in, and nobody else')
  assert.is(
    checked('probe').find(({ service }) => service === 'redis-worker-gpu1')!.detail,
    'ready as verify-test-worker-1',
  )
  assert.equal(
    report.checks.filter(({ result }) => result === 'failed'),
    [],
  )
  const done = report.phases.filter(({ state, tookMs }) => state === 'done' && (tookMs === null || tookMs >= 0))
  assert.is(done.length, report.phases.length, JSON.stringify(report.phases))
  for (const name of ['setup', 'nginx', 'comfyui', 'ollama-models', 'workers', 'services']) {
    assert.ok(
      report.phases.some((phase) => phase.name === name),
      name,
    )
  }
  assert.match(logOf(machine), /the machine is ready, ready after \d+\.\d s/)
  assert.match(logOf(machine), /ok +comfyui-gpu0 +prompt +a picture came out/)
  const { phases } = await get<{ phases: { name: string; state: string }[] }>(machine, '/status')
  assert.is(phases.length, 19)
  assert.is(phases.find(({ name }) => name === 'verify')!.state, 'done')
  assert.is(phases.find(({ name }) => name === 'worker-package')!.state, 'absent')
  const told = await eventually('the event', async () => {
    const { events } = await get<Events>(machine, '/events?since=0&follow=false&limit=1000')
    return events.find(({ type, service }) => type === 'provision.done' && service === 'verify')
  })
  assert.is(told.context?.verdict, 'ready')
  assert.is(await stopMachine(machine), 0)
})

test('what falls short is named with its reason, and does not make the task fail', async () => {
  const machine = await startMachine(
    `
machine: { id: verify-test, gpu: { count: 2 } }
services:
  comfyui: { restart: { maxAttempts: 1 } }
  spare: { command: [/bin/false], optional: true, restart: { maxAttempts: 1, backoff: { initial: 100ms } } }
`,
    { SIMULATE_CRASH_AT_START_COMFYUI_GPU1: '1' },
  )
  await eventually('a report', () => existsSync(reportFile(machine)), 60_000)
  const report = readReport(machine)
  assert.is(report.verdict, 'unhealthy')
  assert.is(report.readyAfterMs, null)
  assert.equal(
    report.unhealthy.map(({ service }) => service),
    ['comfyui-gpu1'],
  )
  assert.equal(
    report.degraded.map(({ service }) => service),
    ['spare'],
  )
  assert.equal(
    report.checks.filter(({ check }) => check === 'prompt').map(({ service }) => service),
    ['comfyui-gpu0'],
  )
  assert.is(report.phases.find(({ name }) => name === 'comfyui')!.state, 'failed')
  assert.is(report.phases.find(({ name }) => name === 'comfyui')!.done, 1)
  await eventually('verify done', async () => (await services(machine)).verify!.state === 'done')
  assert.match(logOf(machine), /warning: comfyui-gpu1: failed/)
  assert.is(await stopMachine(machine), 0)
})

test.run()
