import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { pm2Status } from '../../runtime/shared/pm2-status.ts'
import { STATES } from '../../runtime/shared/service-state.ts'
import type { MachineState, ServiceRecord } from '../../runtime/sidecar/machine-state.ts'
import { type HttpMachine, startHttpMachine, testPlan } from './http-machine.ts'
import { died, OK, running, seen, story } from './machine-records.ts'

/** The machine of the tests with some of its records changed. */
function show(machine: HttpMachine, changes: Readonly<Record<string, Partial<ServiceRecord>>>): void {
  const before = machine.parts.machine()
  const services = new Map(before.services)
  for (const [name, change] of Object.entries(changes)) services.set(name, { ...services.get(name)!, ...change })
  const after: MachineState = { ...before, services }
  machine.parts.machine = () => after
}

const everything = (machine: HttpMachine, change: Partial<ServiceRecord>) =>
  Object.fromEntries([...machine.parts.machine().services.keys()].map((name) => [name, change]))

test('a machine is healthy when all that is wanted works, and says what does not', async () => {
  const plan = testPlan()
  const services = plan.services.map((service) => ({ ...service, optional: service.name === 'ollama' }))
  const machine = await startHttpMachine({ plan: { ...plan, services } })
  const health = async () => {
    const { status, body } = await machine.ask('/health')
    return [status, body.state, body.unhealthy.map(({ service }: { service: string }) => service)]
  }
  const ready = async () => (await machine.ask('/ready')).status
  assert.equal([(await health())[0], await ready()], [503, 503])
  show(machine, everything(machine, { state: 'ready', ready: true }))
  assert.equal([await health(), await ready()], [[200, 'ready', []], 200])
  show(machine, { ollama: { state: 'failed', ready: false, reason: 'it died' } })
  const degraded = await machine.ask('/health')
  assert.equal([degraded.status, degraded.body.state], [200, 'degraded'])
  assert.equal(degraded.body.degraded, [{ service: 'ollama', reason: 'failed: it died' }])
  show(machine, {
    'redis-worker-gpu0': { state: 'down', ready: false, stop: { atMs: 1, operator: 'me', reason: null } },
  })
  const stopped = await machine.ask('/health')
  assert.equal([stopped.status, stopped.body.stopped, await ready()], [200, ['redis-worker-gpu0'], 200])
  show(machine, { 'comfyui-gpu1': { state: 'unready', ready: false, reason: 'GET /system_stats: status 500' } })
  assert.equal([(await health())[2], await ready()], [['comfyui-gpu1'], 503])
  assert.is((await machine.ask('/services/comfyui-gpu1/health')).status, 503)
  assert.is((await machine.ask('/services/comfyui-gpu0/health')).status, 200)
  show(machine, { 'comfyui-gpu1': { state: 'ready', ready: true, reason: null } })
  const all = machine.parts.machine()
  machine.parts.machine = () => ({ ...all, stopping: true })
  assert.equal([await health(), await ready()], [[503, 'stopping', []], 503])
  assert.is((await machine.ask('/services/comfyui-gpu0/health')).status, 503)
  await machine.close()
})

test('the health of a machine that does not change is made once a second, and at once when it changes', async () => {
  const machine = await startHttpMachine()
  const startedMs = Date.now()
  const answers = await Promise.all(Array.from({ length: 200 }, () => machine.ask('/health')))
  const seconds = Math.ceil((Date.now() - startedMs) / 1000)
  const bodies = new Set(answers.map(({ text }) => text)).size
  assert.ok(bodies <= seconds + 1, `${bodies} different answers in ${seconds} s`)
  show(machine, { nginx: { state: 'ready' } })
  const { body } = await machine.ask('/health')
  assert.is(body.services.nginx.state, 'ready')
  await machine.close()
})

test('a service that waits says for what, and what that waits for', async () => {
  const machine = await startHttpMachine()
  const { plan } = machine
  const comfyui = plan.services.find(({ name }) => name === 'comfyui-gpu0')!
  show(machine, {
    ollama: { state: 'starting', reason: 'nothing listens on 127.0.0.1:20006' },
    'comfyui-gpu0': { service: { ...comfyui, waitsFor: ['ollama'] }, state: 'waiting', reason: 'waits for ollama' },
    'redis-worker-gpu0': { state: 'waiting', reason: 'waits for comfyui-gpu0' },
  })
  const { body } = await machine.ask('/services/redis-worker-gpu0')
  const why = 'comfyui-gpu0 is waiting: waits for ollama; ollama is starting: nothing listens on 127.0.0.1:20006'
  assert.equal(body.waitingFor, [{ name: 'comfyui-gpu0', state: 'waiting', why }])
  assert.equal(body.dependencies, [
    { name: 'comfyui-gpu0', kind: 'service', healthy: false, reason: 'it is waiting: waits for ollama' },
    { name: 'redis', kind: 'redis', healthy: false, reason: 'the machine file names no Redis' },
  ])
  await machine.close()
})

test('a service tells of its run, its restarts and its last end', async () => {
  const plan = testPlan()
  const startedMs = Date.now() - 60_000
  const teller = story(plan.services)
  teller.see('nginx', running(70, startedMs - 20_000), startedMs - 20_000).probe('nginx', OK, startedMs - 19_000)
  const deaths = [died(startedMs - 500, { kind: 'signal', signal: 9 })]
  teller.see('nginx', seen({ pid: 0, changedAtMs: startedMs - 500 }, { deaths }), startedMs - 500)
  teller.see('nginx', running(71, startedMs, { deaths }), startedMs).probe('nginx', OK, startedMs + 1500)
  const machine = await startHttpMachine({ plan })
  machine.parts.machine = teller.machine
  const { body } = await machine.ask('/services/nginx')
  assert.equal([body.pid, body.state, body.ready, body.live, body.restarts], [71, 'ready', true, true, 1])
  assert.ok(body.uptime >= 60_000 && body.uptime < 90_000, `${body.uptime} ms`)
  assert.is(body.startupMs, 1500)
  assert.equal(body.startupsMs.at(-1), 1500)
  assert.equal([body.lastExit.kind, body.lastExit.signal, body.lastExit.text], ['signal', 9, 'signal SIGKILL'])
  assert.is(body.lastExit.at, new Date(startedMs - 500).toISOString())
  const status = (await machine.ask('/status')).body.services.nginx
  assert.equal([status.status, status.pid, status.restarts], ['online', 71, 1])
  await machine.close()
})

test('what runs here is measured for the lists of the first machines', async () => {
  const plan = testPlan()
  const machine = await startHttpMachine({ plan })
  machine.parts.machine = story(plan.services).see('ollama', running(process.pid, Date.now()), Date.now()).machine
  const row = (list: { name: string }[]) => list.find(({ name }) => name === 'ollama')
  const first = row((await machine.ask('/pm2/list')).body) as unknown as { cpu: number; memory: number; pid: number }
  assert.is(first.pid, process.pid)
  assert.ok(first.memory > 10_000_000 && first.cpu > 0, JSON.stringify(first))
  await machine.close()
})

test('every state has a word of PM2', () => {
  assert.equal(
    STATES.map((state) => pm2Status(state)),
    ['stopped', 'waiting restart', 'launching', 'online', 'online', 'stopping', 'errored', 'stopped'],
  )
})

test('lists can be of a bundle', async () => {
  const machine = await startHttpMachine()
  const { body } = await machine.ask('/services?service=gpu1')
  assert.equal(
    body.services.map(({ name }: { name: string }) => name),
    ['comfyui-gpu1', 'redis-worker-gpu1'],
  )
  assert.equal(Object.keys(body.bundles), ['gpu0', 'gpu1', 'comfyui'])
  await machine.close()
})

test.run()
