import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type BootFacts, makeReport } from '../../runtime/provision/verify/boot-report.ts'
import { perform } from '../../runtime/provision/verify/check.ts'
import { promptComfyui } from '../../runtime/provision/verify/comfyui-check.ts'
import { formatReport, shortcomings } from '../../runtime/provision/verify/format-report.ts'
import { type MachineStatus, settledStatus } from '../../runtime/provision/verify/machine-status.ts'
import { checkProxy } from '../../runtime/provision/verify/proxy-check.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { end, endAll, freePort, startSimulated } from './start-simulated.ts'

const servers: { close: () => void }[] = []
test.after(async () => {
  for (const server of servers) server.close()
  await endAll()
})

async function serve(listener: RequestListener) {
  const server = createServer(listener)
  servers.push({
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { address: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

async function startComfyui(env: Record<string, string> = {}) {
  const [port, directory] = [await freePort(), temporaryDirectory()]
  const simulated = startSimulated(['comfyui', '--port', String(port), '--base-directory', directory], env, directory)
  await simulated.waitFor(/To see the GUI go to/)
  return { simulated, place: { address: '127.0.0.1', port } }
}

const look = (run: () => Promise<string | { readonly skip: string }>) =>
  perform({ check: 'prompt', service: 's', look: run })

test('a picture goes through a ComfyUI that works; one that runs out of memory is found out', async () => {
  const good = await startComfyui()
  const result = await look(() => promptComfyui(good.place))
  assert.is(result.result, 'ok', result.detail)
  await end(good.simulated)
  const bad = await startComfyui({ SIMULATE_OOM_EVERY: '1' })
  const failed = await look(() => promptComfyui(bad.place))
  assert.is(failed.result, 'failed')
  assert.match(failed.detail, /a prompt without a model fails: .*out of memory/i)
  await end(bad.simulated)
  const gone = await look(() => promptComfyui(bad.place))
  assert.is(gone.detail, 'nothing answers there')
})

test('a ComfyUI with jobs of its users is left alone', async () => {
  let asked = 0
  const place = await serve((request, response) => {
    if (request.method === 'POST') asked += 1
    response.end(JSON.stringify({ queue_running: [[1]], queue_pending: [[2], [3]] }))
  })
  const result = await look(() => promptComfyui(place))
  assert.is(result.result, 'skipped')
  assert.is(result.detail, 'it is busy with 3 jobs')
  assert.is(asked, 0)
})

test('a proxy has to let its credential in and everybody else not, whatever form that has', async () => {
  const proxy = (accepted: string | null) => (request: IncomingMessage) =>
    request.url === '/health' ? 503 : accepted === null || request.headers.authorization === accepted ? 200 : 401
  const placeFor = (status: (request: IncomingMessage) => number) =>
    serve((request, response) => void response.writeHead(status(request)).end())
  const auth = { mode: 'required', user: 'sd', passwordSecret: 'p', tokenSecret: null } as const
  const settings = { auth, healthPath: '/health' }
  const basic = `Basic ${Buffer.from('sd:pw').toString('base64')}`
  const credential = { user: 'sd', password: 'pw', token: null }
  const strict = await placeFor(proxy(basic))
  assert.match(await checkProxy(strict, settings, credential), 'nobody else')
  assert.match(await checkProxy(strict, settings, { ...credential, password: '{PLAIN}pw' }), 'nobody else')
  assert.match(await checkProxy(strict, settings, { ...credential, password: '$6$salt$hash' }), 'is a hash')
  await rejects(checkProxy(strict, settings, { ...credential, password: 'wrong' }), 'answers 401 to its own credential')
  const open = await placeFor(proxy(null))
  await rejects(checkProxy(open, settings, credential), 'answers 200 to a request without a credential')
  assert.is(
    await checkProxy(open, { ...settings, auth: { ...auth, mode: 'off' } }, credential),
    'it is open to everybody',
  )
  const token = await placeFor(proxy('Bearer t0ken'))
  assert.match(await checkProxy(token, settings, { ...credential, token: 't0ken' }), 'nobody else')
})

async function rejects(promise: Promise<unknown>, message: string): Promise<void> {
  const error = await promise.then(
    () => new Error('it was fine'),
    (error: Error) => error,
  )
  assert.match(error.message, message)
}

function statusOf(states: Record<string, string>, over: Partial<MachineStatus> = {}): MachineStatus {
  const services = Object.entries(states).map(([name, state]) => {
    return [name, { state, ready: state === 'ready' || state === 'done', reason: null }]
  })
  return {
    bootId: 'boot-2',
    healthy: true,
    state: 'ready',
    degraded: [],
    unhealthy: [],
    stopped: [],
    services: Object.fromEntries(services),
    boots: [{ id: 'boot-2', startedAt: '2026-01-01T00:00:00.000Z', readyAfterMs: 4200 }],
    phases: [],
    ...over,
  }
}

test('the verification waits until the machine has settled, for no optional task, and never longer than it may', async () => {
  const plan = planFixture({ types: ['comfyui'], gpuCount: 1, proxy: null })
  const models = { ...plan.services[0]!, name: 'models-background', kind: 'task' as const, optional: true }
  const services = [...plan.services, models]
  let state = 'starting'
  const place = await serve((_, response) => {
    const states = { sidecar: 'ready', nginx: 'ready', 'comfyui-gpu0': state, 'models-background': 'starting' }
    response.end(JSON.stringify(statusOf(states)))
  })
  const sidecar = { ...plan.sidecar, ...place }
  setTimeout(() => (state = 'ready'), 1200)
  const startedMs = performance.now()
  const settled = await settledStatus({ sidecar, services }, 'verify', 20_000)
  assert.is(settled?.isSettled, true)
  assert.ok(performance.now() - startedMs > 1200)
  state = 'waiting'
  assert.is((await settledStatus({ sidecar, services }, 'verify', 700))?.isSettled, false)
  assert.is(await settledStatus({ sidecar: { ...sidecar, port: await freePort() }, services }, 'verify', 700), null)
})

test('a report says what falls short, keeps the boots before, and counts no task that is still at work', () => {
  const phases = [
    {
      name: 'comfyui',
      state: 'done',
      services: [],
      done: 2,
      total: 2,
      startedAt: null,
      endedAt: null,
      tookMs: 3100,
      reason: null,
    },
  ] as const
  const facts: BootFacts = {
    machine: 'm1',
    self: 'verify',
    status: statusOf(
      { 'models-background': 'starting', ollama: 'ready' },
      {
        phases,
        degraded: [
          { service: 'verify', reason: 'starting' },
          { service: 'models-background', reason: 'starting: 3 of 64' },
        ],
      },
    ),
    checks: [{ check: 'version', service: 'ollama', result: 'ok', detail: 'version 1', tookMs: 3 }],
    optional: new Set(['verify', 'models-background']),
    atMs: Date.parse('2026-01-01T00:01:00Z'),
  }
  const good = makeReport(facts, null)
  assert.is(good.verdict, 'ready')
  assert.equal(shortcomings(good), [])
  const failing = { ...facts.checks[0]!, result: 'failed' as const, detail: 'it answers 500' }
  const next = { ...facts, status: { ...facts.status, bootId: 'boot-3' }, checks: [failing] }
  const bad = makeReport(next, good)
  assert.is(bad.verdict, 'unhealthy')
  assert.equal(shortcomings(bad), ['ollama: its version fails: it answers 500'])
  assert.equal(bad.history, [
    { bootId: 'boot-2', startedAt: good.startedAt, verdict: 'ready', readyAfterMs: 4200, phases: { comfyui: 3100 } },
  ])
  assert.is(makeReport(next, bad).history.length, 1, 'a second look at one boot is no boot')
  assert.is(makeReport({ ...next, optional: new Set(['ollama']) }, null).verdict, 'degraded')
  let last = good
  for (let boot = 0; boot < 40; boot += 1) {
    last = makeReport({ ...facts, status: { ...facts.status, bootId: `boot-${boot}` } }, last)
  }
  assert.is(last.history.length, 20)
  const text = formatReport(good).join('\n')
  assert.match(text, 'the machine is ready, ready after 4.2 s')
  assert.match(text, /comfyui +done +3\.1 s +2 of 2/)
})

test.run()
