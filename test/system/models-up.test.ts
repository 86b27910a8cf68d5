import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import { readProgress } from '../../runtime/shared/provision-progress.ts'
import { safetensorsOf, startModelServer } from '../fixtures/model-server.ts'
import { allReady, eventually, services, startMachine, stopAll, stopMachine } from './running-machine.ts'

test.after(stopAll)

test('services wait for the models they need, a task that is killed goes on, and the machine is ready without the others', async () => {
  const server = await startModelServer()
  const content = safetensorsOf(6_000_000)
  server.files.set('/first.safetensors', { content })
  server.files.set('/later.pth', { content: Buffer.alloc(2_000_000, 7) })
  server.bytesPerSecond = 2_000_000
  const sha256 = createHash('sha256').update(content).digest('hex')
  try {
    const machine = await startMachine(`
machine: { id: models-test, gpu: { count: 1 } }
services: { comfyui: {} }
models:
  - { url: "${server.url('/first.safetensors')}", folder: checkpoints, when: before-start, sha256: ${sha256} }
  - { url: "${server.url('/later.pth')}", folder: upscale_models }
`)
    const folder = join(machine.stateDirectory, 'workspace/shared/models')
    const waiting = await eventually('ComfyUI waiting for models', async () => {
      const now = await services(machine)
      return now['comfyui-gpu0']?.state === 'waiting' && now.models?.pid ? now : null
    })
    assert.match(waiting['comfyui-gpu0']!.reason ?? '', /waits for models/)
    const paths = { run: join(machine.stateDirectory, 'run') }
    await eventually('bytes', () => (readProgress(paths, 'models')?.bytes ?? 0) > 1_000_000)
    process.kill(waiting.models!.pid!, 'SIGKILL')
    await eventually('ComfyUI ready', async () => (await services(machine))['comfyui-gpu0']?.ready, 60_000)
    assert.ok(readFileSync(join(folder, 'checkpoints/first.safetensors')).equals(content))
    assert.ok(server.sentBytes() < content.length * 1.2, 'it went on where it was')
    await eventually('the other model', () => existsSync(join(folder, 'upscale_models/later.pth')), 60_000)
    await eventually('all tasks done', () => allReady(machine))
    assert.equal((await services(machine)).models!.state, 'done')
    assert.equal(readProgress(paths, 'models')?.state, 'done')
    assert.equal(await stopMachine(machine), 0)
  } finally {
    await server.close()
  }
})

test('a model that cannot be had keeps the services that need it waiting, and says why', async () => {
  const server = await startModelServer()
  try {
    const machine = await startMachine(`
machine: { id: models-test, gpu: { count: 1 } }
services: { comfyui: {}, other: { command: [sleep, "1000"] } }
models:
  - { url: "${server.url('/gone.safetensors')}", folder: checkpoints, when: before-start }
`)
    await eventually('the other service ready', async () => (await services(machine)).other?.ready)
    const log = join(machine.stateDirectory, 'workspace/logs/models/current')
    await eventually('the reason', () => /models\[0\].*answers 404/.test(readFileSync(log, 'utf8')))
    const { models, 'comfyui-gpu0': comfyui } = await services(machine)
    assert.equal(comfyui!.ready, false)
    assert.equal(models!.ready, false)
    server.files.set('/gone.safetensors', { content: safetensorsOf(1000) })
    await eventually('ComfyUI ready after all', async () => (await services(machine))['comfyui-gpu0']?.ready, 90_000)
    assert.equal(await stopMachine(machine), 0)
  } finally {
    await server.close()
  }
})

test.run()
