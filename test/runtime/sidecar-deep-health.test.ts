import { mkdirSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryDirectory } from '../temporary-directory.ts'
import { bundleProgram, until } from './local-tree.ts'
import {
  type Draft,
  type Json,
  type MachineTree,
  portOf,
  supervise,
  untilState,
  writeMachine,
} from './supervised-machine.ts'
import { imagePrompt, post } from './workload-machine.ts'

interface Context {
  tree: MachineTree
  stop: () => Promise<void>
}

const test = suite<Context>('a sidecar beside simulated services that answer and do not work')

const simulate = bundleProgram('runtime/simulate/main.ts', `${temporaryDirectory()}/simulate.mjs`)

/** A ComfyUI on the port that it is told. */
const comfyui = (name: string, knobs: Record<string, string>, stallMs: number): Draft => {
  const workingDirectory = temporaryDirectory()
  mkdirSync(`${workingDirectory}/models`, { recursive: true })
  return {
    name,
    http: true,
    type: 'comfyui',
    command: ['sh', '-c', `exec ${process.execPath} ${simulate} comfyui --port $PORT`],
    workingDirectory,
    environment: knobs,
    probe: { kind: 'http', path: '/system_stats', expect: 'comfyui' },
    liveness: { intervalMs: 500, timeoutMs: 4000, failures: 5, stallMs },
    restart: { maxAttempts: 50, windowMs: 60_000, backoff: { initialMs: 100, maxMs: 100, factor: 1 } },
  }
}

test.before(async (context) => {
  context.tree = await writeMachine([
    comfyui('stalls', { SIMULATE_STALL_AFTER_MS: '0' }, 1500),
    comfyui('faults', { SIMULATE_CUDA_FAULT_AFTER: '1' }, 0),
    comfyui('starves', { SIMULATE_OOM_EVERY: '1' }, 0),
  ])
  context.stop = (await supervise(context.tree)).stop
})

test.after(async (context) => {
  await context.stop()
})

const send = (tree: MachineTree, name: string) =>
  post(`http://127.0.0.1:${portOf(tree, name)}/prompt`, { prompt: imagePrompt(1) })

const restarted = (tree: MachineTree, name: string, before: Json) =>
  until(`"${name}" runs anew and is ready`, 30_000, async () => {
    const { body } = await tree.ask(`/services/${name}`)
    return body.restarts > before.restarts && body.state === 'ready' ? body : null
  })

test('a ComfyUI that hangs in a prompt is restarted, since it is not live', async ({ tree }) => {
  const before = await untilState(tree, 'stalls', 'ready')
  await send(tree, 'stalls')
  const after = await restarted(tree, 'stalls', before)
  assert.is.not(after.pid, before.pid)
  assert.is(after.lastExit.reason, 'liveness')
})

test('a ComfyUI whose log shows a CUDA fault is restarted at once', async ({ tree }) => {
  const before = await untilState(tree, 'faults', 'ready')
  await send(tree, 'faults')
  const after = await restarted(tree, 'faults', before)
  assert.is(after.lastExit.reason, 'liveness')
  assert.is(after.restarts, before.restarts + 1, 'what the old run said is not held against the new one')
})

test('a ComfyUI that runs out of memory goes on, and says how often', async ({ tree }) => {
  const before = await untilState(tree, 'starves', 'ready')
  for (let job = 0; job < 3; job++) await send(tree, 'starves')
  const after = await until('it has counted three', 20_000, async () => {
    const { body } = await tree.ask('/services/starves')
    return body.workload?.outOfMemoryCount === 3 ? body : null
  })
  assert.is(after.pid, before.pid)
  assert.is(after.state, 'ready')
  assert.is(after.workload.promptsDone, 3)
})

test('the resources of the machine are shown', async ({ tree }) => {
  const resources = await until('resources', 15_000, async () => (await tree.ask('/status')).body.resources)
  assert.ok(JSON.stringify(resources).length > 50)
})

test.run()
