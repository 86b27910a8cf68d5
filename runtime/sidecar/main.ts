/**
 * The sidecar: `sidecar.js --plan FILE`. It tells the truth about the machine over HTTP, opens and closes the gates that
 * services wait for, and restarts what does not work. It can end at any time without a service noticing.
 *
 * SIGUSR1 is the farewell, SIGTERM and SIGINT end it.
 */
import { mkdirSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Plan } from '../../schema/plan.ts'
import { loadApiToken } from '../shared/api-token.ts'
import { writeFileAtomically } from '../shared/atomic-file.ts'
import { bootIdFile, bootStartedAtMs, computeBootId } from '../shared/boot-id.ts'
import { loadPlan } from '../shared/load-plan.ts'
import { createHttpApi } from './http/http-api.ts'
import { type HttpServer, type HttpServerOptions, startServer } from './http/server.ts'
import type { Log } from './log.ts'
import { createParts } from './sidecar-parts.ts'
import type { SidecarView } from './view.ts'

const EXIT_FAILED = 1
const EXIT_USAGE = 2

// Before all else: without a listener Node takes SIGUSR1 for its debugger.
let isFarewell = false
let onFarewell = () => {}
process.on('SIGUSR1', () => {
  isFarewell = true
  onFarewell()
})
// Set once and never taken away: a signal that comes while a listener is exchanged for another is lost, and the stop
// of the machine would wait for the kill.
let end = async (_signal: NodeJS.Signals) => {}
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    end(signal).then(
      () => process.exit(0),
      () => process.exit(EXIT_FAILED),
    )
  })
}

async function main(): Promise<void> {
  const plan = loadPlan(readPlanOption())
  const { view, parts, http: httpParts } = createParts(plan, computeBootId(plan.machine.id))
  const initial = view.machine()
  parts.machine = () => ({ ...initial, stopping: isFarewell })
  let log: Log | null = null
  const early: string[] = []
  const api = createHttpApi({
    parts: httpParts,
    loadToken: () => loadApiToken(plan, process.env),
    onProblem: (message) => (log === null ? early.push(message) : log.warn(message)),
    onError: (error, path) => log?.error({ context: { path } }, `cannot answer: ${(error as Error).message}`),
  })
  const server = await listen(plan, api.handle)

  // The rest is loaded in pieces, and whoever asks meanwhile is answered between them.
  await nextTurn()
  const { createLog } = await import('./log.ts')
  const { createRedactor } = await import('../shared/logs/redact.ts')
  const { readKnownSecrets } = await import('../shared/logs/known-secrets.ts')
  await nextTurn()
  const { startMachineLoop } = await import('./machine-loop.ts')
  const { createOperations } = await import('./operate.ts')
  const { createHttpAsk } = await import('./probes/http-ask.ts')
  await nextTurn()
  // First of all it is made: no line is to show it.
  api.prepareToken()
  const redactor = createRedactor(readKnownSecrets(plan, process.env))
  log = createLog({ bootId: view.bootId, redactor })
  log.info({ context: { port: server.port, listen: plan.sidecar.listen } }, `listens on port ${server.port}`)
  for (const problem of early) log.warn(problem)
  noteBootId(view, log)
  const http = createHttpAsk()
  const loop = startMachineLoop({
    plan,
    log,
    ask: http.ask,
    boot: { id: view.bootId, startedAtMs: bootStartedAtMs(Date.now()) },
    onProbe: (...probe) => parts.onProbe?.(...probe),
    workerSaysReady: (...worker) => parts.workerSaysReady(...worker),
  })
  parts.machine = loop.machine
  parts.workload = loop.workload
  parts.operations = createOperations({ plan, loop, log, journal: view.journal })
  onFarewell = loop.farewell
  if (isFarewell) loop.farewell()
  // What ends before the process does, in this order; a part that is loaded adds itself.
  const closers: (() => Promise<void> | void)[] = [loop.close, server.close, http.close]
  end = async (signal) => {
    end = async () => {}
    log.info({ context: { signal } }, `ends on ${signal}`)
    for (const close of closers) await close()
    log.flush()
  }

  await nextTurn()
  const { startEvents } = await import('./events/start-events.ts')
  const { workerWorkload } = await import('./workers/worker-workload.ts')
  const events = await startEvents({ view, log, environment: process.env })
  parts.journal = events.journal
  parts.outbox = events.outbox
  parts.publishStatus = events.publishStatus
  const { workers } = events
  if (workers !== null) {
    parts.workerSaysReady = workers.saysReady
    parts.workload = (service) => workerWorkload(workers, loop.machine(), service) ?? loop.workload(service)
  }
  loop.follow(events.update)
  // First of all: the last ends of services are told, and Redis hears the goodbye.
  closers.unshift(() => loop.look(plan.services.map(({ name }) => name)), events.close)

  const { openMachineLogs } = await import('./logs/machine-logs.ts')
  parts.logs = openMachineLogs(plan, redactor)
  await nextTurn()
  const { startMetrics } = await import('./metrics/collect-metrics.ts')
  const metrics = startMetrics({ view, onError: (error) => log?.warn(`cannot keep metrics whole: ${error.message}`) })
  Object.assign(parts, { metrics: metrics.page, onProbe: metrics.onProbe })
  closers.push(metrics.close)

  await nextTurn()
  const { startResourceMonitor } = await import('./resources/resource-monitor.ts')
  const { gpuLoad } = await import('./resources/gpu-load.ts')
  const resources = startResourceMonitor({ plan, loadOf: (gpu) => gpuLoad(plan, view.workload, gpu) })
  parts.resources = resources.snapshot
  closers.push(resources.close)
  const { guardGpuMemory } = await import('./gpu-memory.ts')
  closers.push(guardGpuMemory({ plan, loop, resources, log }))
}

/** For programs that are not below the supervisor and cannot compute it. */
function noteBootId({ plan, bootId }: SidecarView, log: Log): void {
  try {
    mkdirSync(plan.paths.run, { recursive: true })
    writeFileAtomically(bootIdFile(plan.paths), `${bootId}\n`, 0o644)
  } catch (error) {
    log.error({ context: { bootId } }, `cannot note the id of this boot: ${(error as Error).message}`)
  }
}

function readPlanOption(): string {
  try {
    const { plan } = parseArgs({ options: { plan: { type: 'string' } } }).values
    if (plan !== undefined) return plan
    fail(EXIT_USAGE, 'cannot start: --plan FILE is missing')
  } catch (error) {
    fail(EXIT_USAGE, `cannot start: ${(error as Error).message}`)
  }
}

async function listen(plan: Plan, onRequest: HttpServerOptions['onRequest']): Promise<HttpServer> {
  const { listen: address, port } = plan.sidecar
  try {
    return await startServer({ listen: address, port, onRequest })
  } catch (error) {
    fail(EXIT_FAILED, `cannot listen on ${address} port ${port}: ${(error as Error).message}`)
  }
}

function fail(exitCode: number, message: string): never {
  process.stderr.write(`sidecar: ${message}\n`)
  process.exit(exitCode)
}

main().catch((error: unknown) => fail(EXIT_FAILED, (error as Error).message))
