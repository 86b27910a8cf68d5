import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import {
  allReady,
  eventually,
  processesOf,
  type RunningMachine,
  services,
  startMachine,
  stopAll,
  stopMachine,
} from './running-machine.ts'

const MACHINE = `
machine: { id: system-test, gpu: { count: 2, model: Test GPU } }
services:
  nginx: {}
  comfyui: {}
  ollama: {}
  redisWorker: {}
provisioning: { verify: { enabled: false } }
`

const proxied = (machine: RunningMachine, path: string) =>
  fetch(`http://127.0.0.1:${80 + machine.portOffset}${path}`, {
    headers: { authorization: `Basic ${btoa('sd:pw')}` },
  })

const serviceDirectory = (machine: RunningMachine, name: string) => join(machine.stateDirectory, 'services', name)

/** When each service was reported stopped, as a position in the output. */
const stopPosition = (machine: RunningMachine, name: string): number =>
  machine.output().search(new RegExp(`\\b${name} stopped`))

test.after(stopAll)

test('a machine comes up, survives kill -9 of every service, and stops in order with nothing left', async () => {
  const machine = await startMachine(MACHINE)
  await eventually('all services ready', () => allReady(machine))
  const before = await services(machine)
  for (const { pid, name } of Object.values(before)) {
    assert.ok(pid, `${name} has no process`)
    process.kill(pid, 'SIGKILL')
  }
  const after = await eventually('all services ready again', async () => {
    const now = await services(machine)
    return Object.values(now).every(({ name, pid, ready }) => ready && pid !== before[name]?.pid) ? now : null
  }).catch(async (error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify(await services(machine))}`)
  })
  for (const { name, restarts } of Object.values(after)) assert.ok(restarts >= 1, `${name} counts no restart`)
  // A worker of the dead nginx that kept the port would answer too; only the new master has the new pid.
  assert.equal((await proxied(machine, '/comfyui/1/system_stats')).status, 200)

  assert.equal(await stopMachine(machine), 0)
  for (const gpu of [0, 1]) {
    assert.ok(stopPosition(machine, `redis-worker-gpu${gpu}`) < stopPosition(machine, `comfyui-gpu${gpu}`))
    assert.ok(stopPosition(machine, `comfyui-gpu${gpu}`) < stopPosition(machine, 'nginx'))
  }
  assert.ok(stopPosition(machine, 'nginx') < stopPosition(machine, 'sidecar'))
  assert.deepEqual(processesOf(machine.stateDirectory), [])
})

test('a worker starts only when the ComfyUI of its GPU is ready', async () => {
  const machine = await startMachine(MACHINE, { SIMULATE_STARTUP_MS_COMFYUI_GPU1: '2500' })
  await eventually('the worker of GPU 0', async () => (await services(machine))['redis-worker-gpu0']?.ready)
  const waiting = (await services(machine))['redis-worker-gpu1']
  assert.equal(waiting?.ready, false)
  assert.ok(!existsSync(join(machine.stateDirectory, 'run/ready/comfyui-gpu1')), 'the gate is open too early')
  await eventually('the worker of GPU 1', async () => (await services(machine))['redis-worker-gpu1']?.ready)
  assert.equal(await stopMachine(machine), 0)
})

test('a crash loop is given up after its budget, disturbs nobody, and a person can revive it', async () => {
  const machine = await startMachine(`
machine: { id: crash-loop }
services:
  good: { command: [sleep, '1000'] }
  bad:
    command: [sh, -c, 'test -e revived && exec sleep 1000; echo "cannot work"; exit 3']
    restart: { maxAttempts: 3, backoff: { initial: 1s, max: 1s } }
`)
  const failed = await eventually('the service given up', async () => {
    const { bad } = await services(machine)
    return bad?.state === 'failed' ? bad : null
  })
  assert.equal(failed.pid, null)
  assert.ok(failed.reason, 'no reason is given')
  assert.equal((await services(machine)).good?.restarts, 0)
  assert.equal((await fetch(`http://127.0.0.1:${9090 + machine.portOffset}/health`)).status, 503)
  const log = readFileSync(join(machine.stateDirectory, 'workspace/logs/bad/current'), 'utf8')
  assert.equal(log.split('cannot work').length - 1, 3, 'it was started another number of times than its budget')

  const directory = serviceDirectory(machine, 'bad')
  spawnSync('touch', [join(machine.stateDirectory, 'workspace/revived')])
  assert.equal(spawnSync('s6-svdt-clear', [directory]).status, 0)
  assert.equal(spawnSync('s6-svc', ['-u', directory]).status, 0)
  await eventually('the service revived', async () => (await services(machine)).bad?.ready)
  assert.equal(await stopMachine(machine), 0)
})

for (const delayMs of [150, 400, 800, 1500]) {
  test(`a stop ${delayMs} ms into a slow boot ends at once and leaves nothing`, async () => {
    const machine = await startMachine(MACHINE, { SIMULATE_STARTUP_MS: '600000' })
    await new Promise((resolve) => setTimeout(resolve, delayMs))
    const startedMs = Date.now()
    const code = await stopMachine(machine, 'SIGTERM')
    assert.ok(Date.now() - startedMs < 8000, `the stop took ${Date.now() - startedMs} ms`)
    // Before it has installed its handlers, Node dies of the signal itself.
    assert.ok(code === 0 || (code === null && delayMs < 300), `exit code ${code}:\n${machine.output()}`)
    assert.deepEqual(processesOf(machine.stateDirectory), [])
  })
}

test('a process that ignores its stop signal and leaves a child behind is killed with its group', async () => {
  const machine = await startMachine(MACHINE.replace('comfyui: {}', 'comfyui: { stop: { timeout: 1s } }'), {
    SIMULATE_IGNORE_TERM_COMFYUI_GPU0: '1',
    SIMULATE_LEAVE_CHILD_COMFYUI_GPU1: '1',
  })
  await eventually('all services ready', () => allReady(machine))
  assert.equal(await stopMachine(machine), 0)
  assert.deepEqual(processesOf(machine.stateDirectory), [])
})

test('no secret of the environment stands in the rendered tree or in a log, and files that hold one are private', async () => {
  const secret = 'redis://:s3cr3t-pass@127.0.0.1:1'
  const machine = await startMachine(MACHINE, { HUB_REDIS_URL: secret, WORKER_WEBSOCKET_AUTH_TOKEN: 't0k3n-value' })
  await eventually('all services ready', () => allReady(machine))
  const holders = spawnSync('grep', ['-rlE', 's3cr3t-pass|t0k3n-value', machine.stateDirectory], { encoding: 'utf8' })
  const files = holders.stdout
    .trim()
    .split('\n')
    .filter((file) => !file.includes('/supervise/'))
  assert.ok(
    files.some((file) => file.endsWith('worker_gpu0/.env')),
    'the worker has no .env with its Redis',
  )
  for (const file of files) {
    const mode = spawnSync('stat', ['-c', '%a', file], { encoding: 'utf8' }).stdout.trim()
    assert.equal(mode, '600', `${file} holds a secret`)
  }
  assert.equal(await stopMachine(machine), 0)
})

test.run()
