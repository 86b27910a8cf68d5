/**
 * `npm run bench:metrics`: what a page of metrics costs. Targets: 3,000 requests a second on one core for 26 services,
 * while something changes ten times a second; a burst of 50,000 requests to nginx a second
 * is counted without holding anybody up for 50 ms more than a process that does nothing is held up by this machine at the
 * same time. Ends with 1 when a target is missed.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { readAccessLine } from '../runtime/sidecar/metrics/access-line.ts'
import { accessRoutes } from '../runtime/sidecar/metrics/access-routes.ts'
import { countAccess, emptyAccessTotals } from '../runtime/sidecar/metrics/access-totals.ts'
import { startMetrics } from '../runtime/sidecar/metrics/collect-metrics.ts'
import { createMetricsPage } from '../runtime/sidecar/metrics/metrics-page.ts'
import { renderMetrics } from '../runtime/sidecar/metrics/metrics-sections.ts'
import { createProbeDurations } from '../runtime/sidecar/metrics/probe-durations.ts'
import type { SidecarView } from '../runtime/sidecar/view.ts'
import type { Plan } from '../schema/plan.ts'
import { accessLine } from '../test/fixtures/access-line.ts'
import { planFixture } from '../test/fixtures/plan-fixture.ts'
import { busyView, collectedFixture } from '../test/runtime/metrics-view.ts'

const FILE = fileURLToPath(import.meta.url)
const HTTP_MS = 4000
const CHANGE_MS = 100
const HTTP_TARGET = 3000
const BURST_LINES_PER_SECOND = 50_000
const BURST_SECONDS = 4
const STALL_TARGET_MS = 50

/** A page as a machine in use has it: every route was asked, every service probed. */
function machineInUse(gpuCount: number) {
  const plan = planFixture({ gpuCount, types: ['comfyui', 'automatic1111', 'redis-worker', 'ollama'] })
  const known = accessRoutes(plan.proxy!)
  const totals = emptyAccessTotals()
  for (const route of known) countAccess(totals, known, readAccessLine(accessLine({ route }))!)
  const probes = createProbeDurations(plan.services)
  for (const { name } of plan.services) probes.onProbe(name, 'liveness', 12, true)
  let { machine } = busyView(plan)
  const collected = collectedFixture(plan, { probes, access: { totals, behindBytes: 0, version: 1 } })
  const view: SidecarView = { ...busyView(plan), machine: () => machine() }
  /** As a sweep does: every record may be another one. */
  const change = () => {
    const now = machine()
    machine = () => now
    const next = { ...now, services: new Map(now.services) }
    machine = () => next
  }
  return { plan, view, collected, change }
}

function microseconds(rounds: number, act: () => void): { median: number; p99: number } {
  const times = Array.from({ length: rounds }, () => {
    const startedMs = performance.now()
    act()
    return (performance.now() - startedMs) * 1000
  })
  const sorted = times.slice(Math.floor(rounds / 4)).sort((a, b) => a - b)
  return { median: sorted[Math.floor(sorted.length / 2)]!, p99: sorted[Math.floor(sorted.length * 0.99)]! }
}

function benchRendering(gpuCount: number): void {
  const { plan, view, collected, change } = machineInUse(gpuCount)
  const page = createMetricsPage(view, () => collected)
  const text = renderMetrics(view, collected)
  const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length
  console.log(
    `${gpuCount} GPUs, ${plan.services.length} services, ${series} series, ${Math.round(text.length / 1024)} KiB`,
  )
  const report = (name: string, { median, p99 }: { median: number; p99: number }) =>
    console.log(`  ${name.padEnd(34)} ${median.toFixed(0).padStart(6)} us, 99 of 100 within ${p99.toFixed(0)} us`)
  report(
    'everything made anew',
    microseconds(400, () => renderMetrics(view, collected)),
  )
  const changed = microseconds(400, () => {
    change()
    page(undefined)
  })
  report('services changed since the last one', changed)
  report(
    'nothing changed',
    microseconds(4000, () => page(undefined)),
  )
}

/** The server is a process of its own: one core for it, one for who asks. */
function serve(gpuCount: number): void {
  const { view, collected, change } = machineInUse(gpuCount)
  const page = createMetricsPage(view, () => collected)
  setInterval(change, CHANGE_MS).unref()
  const server = createServer((request, response) => {
    const { bytes, type } = page(request.headers.accept)
    response.writeHead(200, { 'content-type': type, 'content-length': bytes.length })
    response.end(bytes)
  })
  server.listen(0, '127.0.0.1', () => process.send!((server.address() as AddressInfo).port))
  process.on('message', () => process.send!(process.cpuUsage()))
}

async function benchHttp(gpuCount: number): Promise<number> {
  const server = fork(FILE, ['serve', String(gpuCount)])
  const [port] = await once(server, 'message')
  const cpuSeconds = async () => {
    server.send('usage')
    const [{ user, system }] = await once(server, 'message')
    return (user + system) / 1e6
  }
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  let answers = 0
  const ask = async (endMs: number) => {
    while (performance.now() < endMs) {
      const [response] = await once(get({ host: '127.0.0.1', port, path: '/metrics', agent }), 'response')
      response.resume()
      await once(response, 'end')
      answers += 1
    }
  }
  const load = (ms: number) => Promise.all(Array.from({ length: 8 }, () => ask(performance.now() + ms)))
  await load(HTTP_MS / 2)
  answers = 0
  const before = await cpuSeconds()
  await load(HTTP_MS)
  const spent = (await cpuSeconds()) - before
  agent.destroy()
  server.kill()
  const perSecond = answers / (HTTP_MS / 1000)
  const capacity = answers / spent
  console.log(
    `  over HTTP ${perSecond.toFixed(0)} requests/s, ${spent.toFixed(1)} s of CPU in ${HTTP_MS / 1000} s: ${capacity.toFixed(0)} a core`,
  )
  return capacity
}

/** How late a timer of 5 ms rings at the worst, until told to stop. */
function watchLateness(): () => number {
  let worstMs = 0
  let dueMs = performance.now() + 5
  const ring = () => {
    worstMs = Math.max(worstMs, performance.now() - dueMs)
    dueMs = performance.now() + 5
    timer = setTimeout(ring, 5)
  }
  let timer = setTimeout(ring, 5)
  return () => {
    clearTimeout(timer)
    return worstMs
  }
}

/** A process that does nothing else: what the machine itself, with all that runs on it, makes of a timer. */
function idle(): void {
  const stop = watchLateness()
  process.once('message', () => process.send!(stop(), () => process.exit()))
}

/** Lines come as nginx and s6-log bring them, with a rotation a second. */
async function benchBurst(): Promise<{ worstMs: number; idleMs: number; counted: number; written: number }> {
  const root = mkdtempSync(join(tmpdir(), 'machinegen-bench-'))
  const plan: Plan = planFixture({ root })
  const directory = plan.proxy!.accessLogDirectory
  mkdirSync(directory, { recursive: true })
  writeFileSync(`${directory}/current`, '')
  const metrics = startMetrics({ view: busyView(plan), onError: (error) => console.error(error) })
  await pause(1500)
  const writer = fork(FILE, ['write', directory])
  const control = fork(FILE, ['idle'])
  const stop = watchLateness()
  await once(writer, 'exit')
  const written = BURST_LINES_PER_SECOND * BURST_SECONDS
  const count = () => {
    const found = /^machine_nginx_requests_total\{route="\/comfyui\/0\/",code="200"\} (\d+)$/m
    return Number(found.exec(metrics.page(undefined).bytes.toString())?.[1] ?? 0)
  }
  for (let waited = 0; waited < 100 && count() < written; waited += 1) await pause(100)
  const worstMs = stop()
  control.send('stop')
  const [idleMs] = await once(control, 'message')
  const counted = count()
  await metrics.close()
  rmSync(root, { recursive: true, force: true })
  return { worstMs, idleMs, counted, written }
}

async function writeBurst(directory: string): Promise<void> {
  const tick = 50
  const lines = `${accessLine()}\n`.repeat(BURST_LINES_PER_SECOND / (1000 / tick))
  const startMs = performance.now()
  for (let round = 0; round < (BURST_SECONDS * 1000) / tick; round += 1) {
    appendFileSync(`${directory}/current`, lines)
    if (round % (1000 / tick) === 9) {
      renameSync(`${directory}/current`, `${directory}/@4000000066000000000000${String(round).padStart(2, '0')}.s`)
      writeFileSync(`${directory}/current`, '')
    }
    await pause(Math.max(0, startMs + (round + 1) * tick - performance.now()))
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function main(): Promise<void> {
  console.log(`Node ${process.version}`)
  benchRendering(8)
  const capacity = await benchHttp(8)
  benchRendering(64)
  await benchHttp(64)
  const { worstMs, idleMs, counted, written } = await benchBurst()
  console.log(
    `burst of ${BURST_LINES_PER_SECOND} lines/s with rotations: ${counted} of ${written} counted, nobody held up longer than ${worstMs.toFixed(0)} ms, an idle process ${idleMs.toFixed(0)} ms`,
  )
  const met = capacity >= HTTP_TARGET && worstMs - idleMs <= STALL_TARGET_MS && counted === written
  console.log(
    `targets (${HTTP_TARGET} requests/s a core, ${STALL_TARGET_MS} ms, all counted): ${met ? 'met' : 'MISSED'}`,
  )
  process.exitCode = met ? 0 : 1
}

const [role, argument] = process.argv.slice(2)
if (role === 'serve') serve(Number(argument))
else if (role === 'idle') idle()
else if (role === 'write') await writeBurst(argument!)
else await main()
