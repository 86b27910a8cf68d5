import assert from 'node:assert/strict'
import { test } from 'uvu'
import { compile } from '../../generator/compile.ts'
import type { Plan } from '../../schema/plan.ts'

function planOf(text: string, more: object = {}): Plan {
  const { plan, diagnostics } = compile({ sources: [{ file: 'machine.yaml', text }], ...more })
  assert.deepEqual(diagnostics, [])
  assert.ok(plan)
  return plan
}

const serviceOf = (plan: Plan, name: string) => {
  const service = plan.services.find((one) => one.name === name)
  assert.ok(service, `there is no "${name}"`)
  return service
}

const flagValue = (command: readonly string[], flag: string): string | undefined => command[command.indexOf(flag) + 1]

test('two ComfyUIs share neither user, temporary nor output directory nor database, and what must exist is made', () => {
  const plan = planOf('machine: { id: m, gpu: { count: 2 } }\nservices: { comfyui: {} }\n')
  const [first, second] = ['comfyui-gpu0', 'comfyui-gpu1'].map((name) => serviceOf(plan, name).command)
  for (const flag of ['--user-directory', '--temp-directory', '--output-directory', '--database-url', '--port']) {
    assert.notEqual(flagValue(first ?? [], flag), flagValue(second ?? [], flag), flag)
  }
  const directories = plan.directories.map(({ path }) => path)
  for (const command of [first ?? [], second ?? []]) {
    for (const flag of ['--user-directory', '--temp-directory', '--output-directory', '--input-directory']) {
      assert.ok(directories.includes(flagValue(command, flag) ?? ''), flag)
    }
    const database = (flagValue(command, '--database-url') ?? '').replace('sqlite:///', '')
    assert.ok(directories.includes(database.replace(/\/[^/]*$/, '')), 'the directory of the database')
  }
})

test('two Automatic1111s share their models and nothing else', () => {
  const plan = planOf('machine: { id: m, gpu: { count: 2 } }\nservices: { automatic1111: {} }\n')
  const [first, second] = ['automatic1111-gpu0', 'automatic1111-gpu1'].map((name) => serviceOf(plan, name).command)
  for (const flag of ['--data-dir', '--ui-settings-file', '--ui-config-file', '--styles-file', '--port']) {
    assert.notEqual(flagValue(first ?? [], flag), flagValue(second ?? [], flag), flag)
  }
  for (const flag of ['--ckpt-dir', '--vae-dir', '--lora-dir', '--embeddings-dir']) {
    assert.equal(flagValue(first ?? [], flag), flagValue(second ?? [], flag), flag)
    assert.ok(
      plan.directories.some(({ path }) => path === flagValue(first ?? [], flag)),
      flag,
    )
  }
})

test('a mock GPU gets --cpu and none of the flags that ComfyUI does not take beside it', () => {
  const services = 'services: { comfyui: { args: [--highvram, --fast] } }\n'
  const mock = serviceOf(planOf(`machine: { id: m, gpu: { mock: true } }\n${services}`), 'comfyui-gpu0').command
  assert.deepEqual([mock.includes('--cpu'), mock.includes('--highvram'), mock.includes('--fast')], [true, false, true])
  const real = serviceOf(planOf(`machine: { id: m }\n${services}`), 'comfyui-gpu0').command
  assert.deepEqual([real.includes('--cpu'), real.includes('--highvram')], [false, true])
})

test('Ollama leaves free what all others declare on the fullest of its GPUs', () => {
  const overhead = (ollama: string): string | undefined => {
    const services = `services:
  comfyui: { gpuMemory: 4GB, perGpu: false }
  own: { command: [a], gpuMemory: 2GB, gpus: [1] }
  each: { command: [a], gpuMemory: 1GB, perGpu: true }
  off: { command: [a], gpuMemory: 9GB, enabled: false }
  ollama: ${ollama}
`
    const plan = planOf(`machine: { id: m, gpu: { count: 3 } }\n${services}`)
    return serviceOf(plan, 'ollama').environment.OLLAMA_GPU_OVERHEAD
  }
  assert.equal(overhead('{ gpuMemory: 8GB }'), '5000000000')
  assert.equal(overhead('{ gpus: [1, 2] }'), '3000000000')
  assert.equal(overhead('{ gpus: [2] }'), '1000000000')
})

test('the local target keeps the machine below its state directory, wherever its paths lead', () => {
  const local = { stateDirectory: '/state', programDirectory: '/programs', node: '/usr/bin/node' }
  const paths = 'paths: { workspace: /data, shared: /mnt/shared, logs: /data/logs }\n'
  const plan = planOf(`machine: { id: m }\nservices: { comfyui: {}, nginx: {} }\n${paths}`, { target: 'local', local })
  assert.equal(plan.paths.shared, '/state/outside/mnt/shared')
  assert.equal(plan.paths.logs, '/state/workspace/logs')
  assert.deepEqual(
    plan.directories.filter(({ path }) => !path.startsWith('/state/')),
    [],
  )
})

test('a machine without a real GPU has no memory to run out of', () => {
  planOf('machine: { id: m, gpu: { mock: true, memoryGB: 1 } }\nservices: { comfyui: { gpuMemory: 8GB } }\n')
})

test.run()
