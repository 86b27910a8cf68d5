import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createHttpAsk } from '../../runtime/sidecar/probes/http-ask.ts'
import { createInspector } from '../../runtime/sidecar/workload/inspector.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { freePorts, plannedService } from './local-tree.ts'
import { endAll } from './start-simulated.ts'
import { imagePrompt, inspectSimulated, post, sampledPrompt } from './workload-machine.ts'

test.after(endAll)

test('ComfyUI: its queue while prompts run, and prompts that are done', async () => {
  const comfy = await inspectSimulated({ type: 'comfyui', knobs: { SIMULATE_STEP_MS: '60' }, stallMs: 2000 })
  const idle = await comfy.inspect()
  assert.is(idle.death, null)
  assert.equal([idle.workload.queueRunning, idle.workload.queuePending, idle.workload.promptsDone], [0, 0, 0])
  assert.is(idle.workload.modelsLoaded, null)
  for (const steps of [20, 21, 22]) assert.is(await post(`${comfy.url}/prompt`, { prompt: sampledPrompt(steps) }), 200)
  const busy = await comfy.inspectUntil('a prompt runs', ({ workload }) => workload.queueRunning === 1)
  assert.is(busy.workload.queuePending, 2)
  const done = await comfy.inspectUntil('all are done', ({ workload, death }) => {
    assert.is(death, null, 'steps are progress')
    return workload.promptsDone === 3
  })
  assert.equal([done.workload.queueRunning, done.workload.queuePending], [0, 0])
  await comfy.stop()
})

test('ComfyUI: a long prompt that makes steps lives; one that hangs is dead, whoever goes on asking', async () => {
  const comfy = await inspectSimulated({
    type: 'comfyui',
    knobs: { SIMULATE_STEP_MS: '100', SIMULATE_STALL_AFTER_MS: '4000' },
    stallMs: 1500,
  })
  const startedMs = Date.now()
  await post(`${comfy.url}/prompt`, { prompt: sampledPrompt(1000) })
  const dead = await comfy.inspectUntil('it is dead', ({ death }) => {
    post(`${comfy.url}/prompt`, { prompt: imagePrompt(Date.now()) }).catch(() => {})
    return death !== null
  })
  assert.ok(Date.now() - startedMs > 4000, 'not while it made steps')
  assert.match(dead.death ?? '', /^prompt "[0-9a-f-]{36}" has made no progress for [12] s$/)
  assert.is(dead.workload.queueRunning, 1)
  await comfy.stop()
})

test('ComfyUI: nothing hangs where nobody wants to know', async () => {
  const comfy = await inspectSimulated({ type: 'comfyui', knobs: { SIMULATE_STALL_AFTER_MS: '0' }, stallMs: 0 })
  await post(`${comfy.url}/prompt`, { prompt: imagePrompt(1) })
  await comfy.inspectUntil('it runs', ({ workload }) => workload.queueRunning === 1)
  await sleep(300)
  assert.is((await comfy.inspect()).death, null)
  await comfy.stop()
})

test('ComfyUI: a CUDA fault in its log is its death, although it answers', async () => {
  const comfy = await inspectSimulated({ type: 'comfyui', knobs: { SIMULATE_CUDA_FAULT_AFTER: '2' } })
  await post(`${comfy.url}/prompt`, { prompt: imagePrompt(1) })
  const well = await comfy.inspectUntil('the first is done', ({ workload }) => workload.promptsDone === 1)
  assert.is(well.death, null)
  await post(`${comfy.url}/prompt`, { prompt: imagePrompt(2) })
  const { death, workload } = await comfy.inspectUntil('it is dead', (each) => each.death !== null)
  assert.match(death ?? '', /^its log shows a CUDA fault: .*an illegal memory access was encountered$/)
  assert.is(workload.outOfMemoryCount, 0)
  assert.match((await comfy.inspect()).death ?? '', /CUDA fault/, 'it stays dead')
  await comfy.stop()
})

test('ComfyUI: one that ran out of memory lives, and each job counts once', async () => {
  const comfy = await inspectSimulated({ type: 'comfyui', knobs: { SIMULATE_OOM_EVERY: '2' } })
  for (let color = 0; color < 4; color++) await post(`${comfy.url}/prompt`, { prompt: imagePrompt(color) })
  const { death, workload } = await comfy.inspectUntil('all are done', (each) => each.workload.promptsDone === 4)
  assert.is(death, null)
  assert.is(workload.outOfMemoryCount, 2)
  await comfy.stop()
})

test('ComfyUI: it is asked for its memory after a job ran out of it, and not again and again', async () => {
  const [port] = await freePorts(1)
  const asked: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (request.method === 'POST') asked.push(`${request.url} ${body}`)
    response.end('{"exec_info":{"queue_remaining":0}}')
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const { appendFileSync, writeFileSync } = await import('node:fs')
  const directory = temporaryDirectory()
  writeFileSync(`${directory}/current`, 'torch.OutOfMemoryError: Allocation on device \n')
  const service = plannedService({
    name: 'comfyui-gpu0',
    type: 'comfyui',
    port: port!,
    address: '127.0.0.1',
    logs: { directory, maxSizeBytes: 1e6, maxFiles: 3 },
  })
  const http = createHttpAsk()
  const inspector = createInspector({ service, ask: http.ask, launch: { atMs: Date.now(), isFresh: true } })!
  await inspector.inspect()
  assert.equal(asked, [], 'what an earlier run said does not count')
  for (let job = 0; job < 3; job++) {
    appendFileSync(
      `${directory}/current`,
      'torch.OutOfMemoryError: Allocation on device \nPrompt executed in 0.1 seconds\n',
    )
    await inspector.inspect()
  }
  assert.is((await inspector.inspect()).workload.outOfMemoryCount, 3)
  assert.equal(asked, ['/free {"unload_models":true,"free_memory":true}'])
  inspector.close()
  await http.close()
  server.closeAllConnections()
  server.close()
})

const image = { prompt: 'a cat', steps: 40, width: 64, height: 64 }

test('Automatic1111: its job and models; one that hangs is dead', async () => {
  const webUi = await inspectSimulated({
    type: 'automatic1111',
    knobs: { SIMULATE_STEP_MS: '50', SIMULATE_STALL_AFTER_MS: '3500' },
    stallMs: 1200,
  })
  const idle = await webUi.inspect()
  assert.is(idle.workload.queueRunning, 0)
  assert.is(idle.workload.outOfMemoryCount, 0)
  assert.is(idle.workload.modelsAvailable?.length, 1)
  assert.equal(idle.workload.modelsLoaded, idle.workload.modelsAvailable)
  const startedMs = Date.now()
  post(`${webUi.url}/sdapi/v1/txt2img`, { ...image, steps: 150 }).catch(() => {})
  await webUi.inspectUntil('it works', ({ workload }) => workload.queueRunning === 1)
  const { death } = await webUi.inspectUntil('it is dead', (each) => each.death !== null)
  assert.match(death ?? '', /^job "scripts_txt2img" of \d+ has made no progress for [12] s$/)
  assert.ok(Date.now() - startedMs > 2000, 'not while it made steps')
  await webUi.stop()
})

test('Automatic1111: out of memory is counted and no death; a CUDA fault is one', async () => {
  const webUi = await inspectSimulated({
    type: 'automatic1111',
    knobs: { SIMULATE_OOM_EVERY: '2', SIMULATE_CUDA_FAULT_AFTER: '5' },
  })
  for (let job = 0; job < 4; job++) await post(`${webUi.url}/sdapi/v1/txt2img`, { ...image, steps: 1 })
  const { death, workload } = await webUi.inspect()
  assert.is(death, null)
  assert.is(workload.outOfMemoryCount, 2)
  await post(`${webUi.url}/sdapi/v1/txt2img`, image)
  const dead = await webUi.inspectUntil('it is dead', (each) => each.death !== null)
  assert.match(dead.death ?? '', /illegal memory access/)
  await webUi.stop()
})

test('Ollama: models on disk and in memory', async () => {
  const ollama = await inspectSimulated({ type: 'ollama', knobs: { SIMULATE_MODEL_BYTES: '1000' } })
  assert.equal((await ollama.inspect()).workload.modelsAvailable, [])
  assert.is(await post(`${ollama.url}/api/pull`, { model: 'llama3', stream: false }), 200)
  assert.equal((await ollama.inspect()).workload.modelsAvailable, ['llama3:latest'])
  assert.equal((await ollama.inspect()).workload.modelsLoaded, [])
  await post(`${ollama.url}/api/generate`, { model: 'llama3', prompt: 'hi', stream: false })
  const { workload, death } = await ollama.inspect()
  assert.equal(workload.modelsLoaded, ['llama3:latest'])
  assert.is(death, null)
  await ollama.stop()
})

test('a service that does not answer tells nothing, in time', async () => {
  for (const type of ['comfyui', 'automatic1111', 'ollama'] as const) {
    const simulated = await inspectSimulated({ type, knobs: { SIMULATE_HANG_AFTER_MS: '0' } })
    await sleep(200)
    const startedMs = Date.now()
    const { workload, death } = await simulated.inspect()
    assert.ok(Date.now() - startedMs < 8000)
    assert.is(death, null)
    assert.is(workload.queueRunning, null)
    assert.is(workload.modelsAvailable, null)
    await simulated.stop()
  }
})

test('types that tell nothing of their work have no inspector', () => {
  const service = plannedService({ name: 'nginx', type: 'nginx', port: 80 })
  const launch = { atMs: 0, isFresh: true }
  assert.is(createInspector({ service, ask: async () => ({ status: 200, body: '', isCut: false }), launch }), null)
})

test.run()
