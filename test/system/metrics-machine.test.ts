import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import { hasPromtool, promtool } from '../fixtures/promtool.ts'
import { type ParsedFamily, parseExposition } from '../runtime/parse-exposition.ts'
import {
  allReady,
  eventually,
  type RunningMachine,
  services,
  startMachine,
  stopAll,
  stopMachine,
} from './running-machine.ts'

const MACHINE = `
machine: { id: metrics-test, gpu: { count: 2, model: 'Test "GPU"', mock: true } }
services:
  nginx: {}
  comfyui: {}
  redisWorker: {}
`

test.after(stopAll)

async function scrape(machine: RunningMachine, accept?: string): Promise<{ type: string | null; text: string }> {
  const headers: Record<string, string> = accept === undefined ? {} : { accept }
  const answer = await fetch(`http://127.0.0.1:${9090 + machine.portOffset}/metrics`, { headers })
  assert.equal(answer.status, 200)
  return { type: answer.headers.get('content-type'), text: await answer.text() }
}

/** The one series that has these labels. */
function readSeries(families: ReadonlyMap<string, ParsedFamily>, name: string, labels: Record<string, string>): number {
  const { series = [] } = families.get(name) ?? {}
  const found = series.filter((one) =>
    Object.entries(labels).every(([label, value]) => one.labels.get(label) === value),
  )
  return found.length === 1 ? found[0]!.value : Number.NaN
}

const read = async (machine: RunningMachine) => parseExposition((await scrape(machine)).text)

async function ask(machine: RunningMachine, path: string, times: number, credential = 'sd:pw'): Promise<void> {
  const url = `http://127.0.0.1:${80 + machine.portOffset}${path}`
  for (let count = 0; count < times; count += 1) {
    const answer = await fetch(url, { headers: { authorization: `Basic ${btoa(credential)}` } })
    await answer.arrayBuffer()
  }
}

const COUNTED = { route: '/comfyui/0/', code: '200' }

async function untilCounted(machine: RunningMachine, labels: Record<string, string>, count: number): Promise<void> {
  const name = 'machine_nginx_requests_total'
  await eventually(`${count} requests of ${JSON.stringify(labels)}`, async () => {
    return readSeries(await read(machine), name, labels) === count
  })
}

test('a running machine tells in metrics what happens on it, each request once', async () => {
  const machine = await startMachine(MACHINE)
  await eventually('all services ready', () => allReady(machine))

  await ask(machine, '/comfyui/0/system_stats', 12)
  await ask(machine, '/nowhere', 3)
  await ask(machine, '/comfyui/1/system_stats', 2, 'sd:wrong')
  await untilCounted(machine, COUNTED, 12)
  await untilCounted(machine, { route: 'none', code: '404' }, 3)
  await untilCounted(machine, { route: '/comfyui/1/', code: '401' }, 2)

  // While nobody reads, nginx goes on writing, and the next sidecar goes on counting.
  process.kill((await services(machine)).sidecar!.pid!, 'SIGKILL')
  await ask(machine, '/comfyui/0/system_stats', 5)
  await untilCounted(machine, COUNTED, 17)

  rotateAccessLog(machine)
  await ask(machine, '/comfyui/0/system_stats', 4)
  await untilCounted(machine, COUNTED, 21)

  const { pid } = (await services(machine))['comfyui-gpu1']!
  process.kill(pid!, 'SIGKILL')
  await eventually('the restart of ComfyUI', async () => {
    const labels = { service: 'comfyui-gpu1', gpu: '1' }
    const families = await read(machine)
    return (
      readSeries(families, 'machine_service_restarts_total', labels) === 1 &&
      readSeries(families, 'machine_service_exits_total', { ...labels, reason: 'signal' }) === 1 &&
      readSeries(families, 'machine_service_ready', labels) === 1
    )
  })

  const families = await read(machine)
  assert.equal(readSeries(families, 'machine_nginx_requests_total', COUNTED), 21)
  assert.equal(readSeries(families, 'machine_nginx_access_log_malformed_lines_total', {}), 0)
  assert.equal(readSeries(families, 'machine_nginx_access_log_gaps_total', {}), 0)
  assert.equal(readSeries(families, 'machine_gpu_info', { gpu: '1' }), 1)
  assert.ok(readSeries(families, 'machine_boot_ready_seconds', {}) > 0)
  await checkFormats(machine)
  assert.equal(await stopMachine(machine), 0)
})

/** s6-log begins a new file when it is told to. */
function rotateAccessLog(machine: RunningMachine): void {
  const files = join(machine.stateDirectory, 'workspace/logs/nginx-access')
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    if (commandOf(pid).includes(files)) process.kill(Number(pid), 'SIGALRM')
  }
}

function commandOf(pid: string): string {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    return command.startsWith('s6-log') ? command : ''
  } catch {
    return ''
  }
}

async function checkFormats(machine: RunningMachine): Promise<void> {
  const openMetrics = await scrape(machine, 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5')
  assert.equal(openMetrics.type, 'application/openmetrics-text; version=1.0.0; charset=utf-8')
  assert.ok(parseExposition(openMetrics.text, 'openmetrics').size > 25)
  const { type, text } = await scrape(machine)
  assert.equal(type, 'text/plain; version=0.0.4; charset=utf-8')
  if (hasPromtool) assert.equal(promtool(['check', 'metrics'], text), '')
}

test.run()
