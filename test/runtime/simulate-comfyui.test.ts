import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import { temporaryDirectory } from '../temporary-directory.ts'
import { end, endAll, freePort, type Simulated, startSimulated } from './start-simulated.ts'

interface Running extends Simulated {
  readonly url: string
  readonly directory: string
}

async function startComfyUi(args: string[] = [], env: Record<string, string> = {}): Promise<Running> {
  const directory = temporaryDirectory()
  const port = await freePort()
  mkdirSync(join(directory, 'user'))
  const directories = ['user', 'temp', 'output'].flatMap((name) => [`--${name}-directory`, join(directory, name)])
  const words = ['comfyui', '--listen', '127.0.0.1', '--port', String(port), ...directories, ...args]
  const simulated = startSimulated(words, env, directory)
  await simulated.waitFor(/To see the GUI go to/)
  return { ...simulated, url: `http://127.0.0.1:${port}`, directory }
}

let shared: Promise<Running> | undefined
/** One instance for the tests that leave nothing behind. */
const sharedComfyUi = () => {
  shared ??= startComfyUi()
  return shared
}

interface Message {
  readonly type: string
  readonly data: Record<string, unknown>
}

/** A websocket that keeps what it gets. */
async function openSocket(url: string, clientId: string) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws?clientId=${clientId}`)
  const messages: Message[] = []
  let look = () => {}
  socket.on('message', (text) => {
    messages.push(JSON.parse(String(text)) as Message)
    look()
  })
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))
  const waitFor = (matches: (message: Message) => boolean) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no such message in ${JSON.stringify(messages)}`)), 10_000)
      look = () => {
        if (!messages.some(matches)) return
        clearTimeout(timer)
        resolve()
      }
      look()
    })
  return { socket, messages, waitFor }
}

const isEnd = ({ type, data }: Message) => type === 'executing' && data.node === null

async function post(url: string, body: unknown) {
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body) })
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) }
}

async function getJson<T = Record<string, unknown>>(url: string): Promise<T> {
  const answer = await fetch(url)
  return (await answer.json()) as T
}

const IMAGE = { class_type: 'EmptyImage', inputs: { width: 96, height: 32, batch_size: 1, color: 7 } }
const SAVE = { class_type: 'SaveImage', inputs: { images: ['1', 0], filename_prefix: 'shots/test' } }
const PICTURE = { '1': IMAGE, '2': SAVE }

/** A graph with a sampler, for progress. */
const sampled = (steps: number) => ({
  '4': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'model.safetensors' } },
  '5': { class_type: 'EmptyLatentImage', inputs: { width: 64, height: 64, batch_size: 1 } },
  '6': { class_type: 'CLIPTextEncode', inputs: { text: 'a cat', clip: ['4', 1] } },
  '3': {
    class_type: 'KSampler',
    inputs: {
      ...{ model: ['4', 0], positive: ['6', 0], negative: ['6', 0], latent_image: ['5', 0] },
      ...{ seed: 1, steps, cfg: 8, sampler_name: 'euler', scheduler: 'normal', denoise: 1 },
    },
  },
  '8': { class_type: 'VAEDecode', inputs: { samples: ['3', 0], vae: ['4', 2] } },
  '9': { class_type: 'PreviewImage', inputs: { images: ['8', 0] } },
})

function addModel(directory: string): void {
  mkdirSync(join(directory, 'models/checkpoints'), { recursive: true })
  writeFileSync(join(directory, 'models/checkpoints/model.safetensors'), '')
}

async function waitForHistory(url: string, id: string) {
  for (let attempt = 0; attempt < 200; attempt++) {
    const history = await getJson(`${url}/history/${id}`)
    if (history[id])
      return history[id] as {
        status: { status_str: string; completed: boolean; messages: [string, Record<string, string>][] }
      }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`prompt ${id} did not end`)
}

test('a prompt goes through websocket, history and view in the order of the real program', async () => {
  const comfy = await startComfyUi(['--max-upload-size', '512', '--fast'])
  addModel(comfy.directory)
  const mine = await openSocket(comfy.url, 'me')
  const other = await openSocket(comfy.url, 'somebody')
  await mine.waitFor(({ type }) => type === 'status')
  assert.equal(mine.messages[0], {
    type: 'status',
    data: { status: { exec_info: { queue_remaining: 0 } }, sid: 'me' },
  })
  const accepted = await post(`${comfy.url}/api/prompt`, { prompt: sampled(3), client_id: 'me' })
  assert.is(accepted.status, 200)
  assert.equal(accepted.body.node_errors, {})
  assert.is(accepted.body.number, 0)
  await mine.waitFor(isEnd)
  const order = mine.messages
    .filter(({ type }) => !['progress_state'].includes(type))
    .map(({ type, data }) => (type === 'executing' ? `executing ${data.node}` : type))
  assert.equal(order, [
    ...['status', 'status', 'status', 'execution_start', 'execution_cached'],
    ...['executing 4', 'executing 6', 'executing 5', 'executing 3', 'progress', 'progress', 'progress'],
    ...['executing 8', 'executing 9', 'executed', 'execution_success', 'status', 'executing null'],
  ])
  const progress = mine.messages.filter(({ type }) => type === 'progress').map(({ data }) => [data.value, data.max])
  assert.equal(progress, [
    [1, 3],
    [2, 3],
    [3, 3],
  ])
  assert.ok(
    other.messages.every(({ type }) => type === 'status'),
    'another client hears nothing of the prompt',
  )
  const id = accepted.body.prompt_id as string
  type Entry = { outputs: Record<string, { images: Record<string, string>[] }> }
  const entry = (await getJson<Record<string, Entry>>(`${comfy.url}/api/history/${id}`))[id] as Entry
  assert.equal(Object.keys(entry), ['prompt', 'outputs', 'status', 'meta'])
  const [image] = entry.outputs['9']?.images ?? []
  assert.is(image?.type, 'temp')
  const file = await fetch(`${comfy.url}/api/view?filename=${image?.filename}&type=temp&subfolder=`)
  assert.is(file.headers.get('content-type'), 'image/png')
  const png = Buffer.from(await file.arrayBuffer())
  assert.is(png.subarray(1, 4).toString(), 'PNG')
  assert.equal([png.readUInt32BE(16), png.readUInt32BE(20)], [64, 64])
  mine.socket.terminate()
  other.socket.terminate()
  await end(comfy)
})

test('nodes that have not changed come from the cache', async () => {
  const comfy = await sharedComfyUi()
  const first = await post(`${comfy.url}/prompt`, { prompt: PICTURE })
  await waitForHistory(comfy.url, first.body.prompt_id)
  const second = await post(`${comfy.url}/prompt`, { prompt: PICTURE })
  const { status } = await waitForHistory(comfy.url, second.body.prompt_id)
  assert.equal(status.messages[1]?.[1]?.nodes, ['1', '2'])
  assert.equal(readdirSync(join(comfy.directory, 'output/shots')), ['test_00001_.png'])
})

test('prompts that cannot run are refused in the real shapes', async () => {
  const comfy = await sharedComfyUi()
  const refuse = async (prompt: unknown) => (await post(`${comfy.url}/prompt`, prompt)).body
  const none = await post(`${comfy.url}/prompt`, {})
  assert.is(none.status, 400)
  assert.equal(none.body, {
    error: { type: 'no_prompt', message: 'No prompt provided', details: 'No prompt provided', extra_info: {} },
    node_errors: {},
  })
  const unknown = await refuse({ prompt: { '7': { class_type: 'NoSuchNode', inputs: {} } } })
  assert.equal(unknown.error, {
    type: 'invalid_prompt',
    message: 'Cannot execute because node NoSuchNode does not exist.',
    details: "Node ID '#7'",
    extra_info: {},
  })
  assert.is((await refuse({ prompt: { '1': IMAGE } })).error.type, 'prompt_no_outputs')
  const invalid = await refuse({
    prompt: { '1': { ...IMAGE, inputs: { width: 'x', batch_size: 0, color: 1 } }, '2': SAVE },
  })
  assert.is(invalid.error.type, 'prompt_outputs_failed_validation')
  const [broken] = Object.values(invalid.node_errors) as {
    errors: { type: string }[]
    class_type: string
    dependent_outputs: string[]
  }[]
  assert.is(broken?.class_type, 'EmptyImage')
  assert.equal(broken?.dependent_outputs, ['2'])
  assert.equal(
    broken?.errors.map(({ type }) => type),
    ['invalid_input_type', 'required_input_missing', 'value_smaller_than_min'],
  )
  const missing = await refuse({ prompt: sampled(1) })
  assert.is(missing.node_errors['4'].errors[0].type, 'value_not_in_list')
  const dangling = await refuse({ prompt: { '2': SAVE } })
  assert.is(dangling.node_errors['2'].errors[0].type, 'exception_during_inner_validation')
  const notJson = await fetch(`${comfy.url}/prompt`, { method: 'POST', body: '{' })
  assert.is(notJson.status, 500)
})

test('the queue runs one prompt at a time, and can be changed, interrupted and forgotten', async () => {
  const comfy = await startComfyUi([], { SIMULATE_STEP_MS: '30' })
  addModel(comfy.directory)
  const ids: string[] = []
  for (const _ of [1, 2, 3]) ids.push((await post(`${comfy.url}/prompt`, { prompt: sampled(500) })).body.prompt_id)
  const front = await post(`${comfy.url}/prompt`, { prompt: sampled(1), front: true, prompt_id: 'mine' })
  assert.equal(front.body, { prompt_id: 'mine', number: -3, node_errors: {} })
  const queue = await getJson<Record<string, unknown[][]>>(`${comfy.url}/queue`)
  assert.equal(
    queue.queue_running?.map((item) => item[1]),
    [ids[0]],
  )
  assert.equal(
    queue.queue_pending?.map((item) => item[1]),
    ['mine', ids[1], ids[2]],
  )
  assert.equal(await getJson(`${comfy.url}/prompt`), { exec_info: { queue_remaining: 4 } })
  await post(`${comfy.url}/queue`, { delete: [ids[1]] })
  await post(`${comfy.url}/interrupt`, { prompt_id: ids[2] })
  assert.is((await getJson<Record<string, unknown[]>>(`${comfy.url}/queue`)).queue_running?.length, 1)
  await post(`${comfy.url}/interrupt`, { prompt_id: ids[0] })
  const first = await waitForHistory(comfy.url, ids[0] as string)
  assert.is(first.status.status_str, 'error')
  assert.is(first.status.messages.at(-1)?.[0], 'execution_interrupted')
  assert.is((await waitForHistory(comfy.url, 'mine')).status.status_str, 'success')
  await post(`${comfy.url}/queue`, { clear: true })
  await fetch(`${comfy.url}/interrupt`, { method: 'POST' })
  await waitForHistory(comfy.url, ids[2] as string)
  assert.equal(Object.keys(await getJson(`${comfy.url}/history?max_items=1`)), [ids[2]])
  await post(`${comfy.url}/history`, { delete: ['mine'] })
  assert.equal(Object.keys(await getJson(`${comfy.url}/history`)), [ids[0], ids[2]])
  await post(`${comfy.url}/history`, { clear: true })
  assert.equal(await getJson(`${comfy.url}/history`), {})
  await end(comfy)
})

test('the card is reported with the memory that models take, the CPU without an index', async () => {
  const comfy = await startComfyUi(['--cuda-device', '1'], {
    SIMULATE_GPU_MODEL: 'NVIDIA H100',
    SIMULATE_VRAM_BYTES: '80000000000',
  })
  addModel(comfy.directory)
  const device = async () =>
    (await getJson<{ devices: Record<string, number>[] }>(`${comfy.url}/system_stats`)).devices[0]
  const before = await device()
  assert.is(before?.name, 'cuda:0 NVIDIA H100 : cudaMallocAsync')
  assert.is(before?.vram_total, 80_000_000_000)
  const { body } = await post(`${comfy.url}/prompt`, { prompt: sampled(1) })
  await waitForHistory(comfy.url, body.prompt_id)
  const loaded = await device()
  assert.ok((loaded?.vram_free ?? 0) < (before?.vram_free ?? 0))
  await post(`${comfy.url}/free`, { unload_models: true })
  assert.is((await device())?.vram_free, before?.vram_free)
  await end(comfy)
  const onCpu = await startComfyUi(['--cpu'])
  const stats = await getJson<{ system: Record<string, unknown>; devices: Record<string, unknown>[] }>(
    `${onCpu.url}/api/system_stats`,
  )
  assert.equal(Object.keys(stats), ['system', 'devices'])
  const [cpu] = stats.devices
  assert.equal([cpu?.name, cpu?.type, cpu?.index], ['cpu', 'cpu', null])
  const { system } = stats
  assert.is(system.comfyui_version, '0.3.64')
  assert.is((system.argv as string[])[0], 'main.py')
  await end(onCpu)
})

test('model folders come from the extra paths file, by its rules', async () => {
  const directory = temporaryDirectory()
  mkdirSync(join(directory, 'shared/loras/styles'), { recursive: true })
  writeFileSync(join(directory, 'shared/loras/styles/a.safetensors'), '')
  writeFileSync(join(directory, 'shared/loras/readme.txt'), '')
  const file = join(directory, 'paths.yaml')
  writeFileSync(
    file,
    'machine:\n  base_path: shared\n  is_default: true\n  loras: |\n    loras/\n    more\n  unet: unet\n  sams: sams\nempty:\n',
  )
  const comfy = await startComfyUi(['--extra-model-paths-config', file])
  assert.equal(await getJson(`${comfy.url}/models/loras`), ['styles/a.safetensors'])
  assert.equal(await getJson(`${comfy.url}/models/sams`), [])
  assert.is((await fetch(`${comfy.url}/models/nosuch`)).status, 404)
  const paths = await getJson<Record<string, string[]>>(`${comfy.url}/internal/folder_paths`)
  assert.is(paths.diffusion_models?.[0], join(directory, 'shared/unet'))
  const types = await getJson<string[]>(`${comfy.url}/models`)
  assert.ok(types.includes('audio_encoders') && !types.includes('unet'))
  await end(comfy)
  writeFileSync(file, 'machine:\n  loras: [a, b]\n')
  const words = ['comfyui', '--port', String(await freePort()), '--extra-model-paths-config', file]
  const broken = startSimulated(words, {}, directory)
  assert.equal(await broken.exited, { code: 1, signal: null })
  assert.match(broken.output(), "'list' object has no attribute 'split'")
})

test('node definitions, lists, logs and pages are there, also under /api', async () => {
  const comfy = await sharedComfyUi()
  for (const path of ['/embeddings', '/extensions', '/features', '/object_info', '/users', '/internal/logs']) {
    assert.is((await fetch(comfy.url + path)).status, 200, path)
  }
  const info = await getJson<Record<string, Record<string, unknown>>>(`${comfy.url}/api/object_info/KSampler`)
  assert.equal(info.KSampler?.output, ['LATENT'])
  assert.equal(await getJson(`${comfy.url}/object_info/Nothing`), {})
  assert.match(await (await fetch(`${comfy.url}/`)).text(), 'ComfyUI')
  const raw = await getJson<{ entries: { t: string; m: string }[] }>(`${comfy.url}/internal/logs/raw`)
  assert.ok(raw.entries.some(({ m }) => m.startsWith('To see the GUI')))
  const missing = await fetch(`${comfy.url}/health`)
  assert.equal([missing.status, await missing.text()], [404, '404: Not Found'])
  assert.is((await fetch(`${comfy.url}/nothing`, { method: 'POST' })).status, 405)
  const noUpgrade = await fetch(`${comfy.url}/ws`)
  assert.is(noUpgrade.status, 400)
})

test('a page of another origin is refused, unless CORS is switched on', async () => {
  const comfy = await sharedComfyUi()
  const ask = (url: string, origin: string) => fetch(`${url}/prompt`, { headers: { origin } })
  assert.is((await ask(comfy.url, 'http://evil.example')).status, 403)
  assert.is((await ask(comfy.url, comfy.url)).status, 200)
  const foreign = new WebSocket(`${comfy.url.replace('http', 'ws')}/ws`, { origin: 'http://evil.example' })
  const refusal = await new Promise<number | undefined>((resolve) => {
    foreign.on('unexpected-response', (_, answer) => resolve(answer.statusCode))
    foreign.on('error', () => {})
  })
  foreign.terminate()
  assert.is(refusal, 403)
  const open = await startComfyUi(['--enable-cors-header'])
  const answer = await ask(open.url, 'http://evil.example')
  assert.is(answer.status, 200)
  assert.is(answer.headers.get('access-control-allow-origin'), '*')
  assert.is((await fetch(`${open.url}/prompt`, { method: 'OPTIONS' })).status, 200)
  await end(open)
})

test('a workflow file is kept under its whole name, slash and space included', async () => {
  const comfy = await sharedComfyUi()
  const url = `${comfy.url}/api/userdata/workflows%2Fmy%20flow.json`
  assert.is((await fetch(url)).status, 404)
  const saved = await fetch(`${url}?overwrite=false`, { method: 'POST', body: '{"a":1}' })
  assert.is(await saved.json(), 'workflows/my flow.json')
  assert.is((await fetch(`${url}?overwrite=false`, { method: 'POST', body: '{}' })).status, 409)
  assert.is(readFileSync(join(comfy.directory, 'user/default/workflows/my flow.json'), 'utf8'), '{"a":1}')
  assert.equal(await getJson(`${comfy.url}/userdata?dir=workflows`), ['my flow.json'])
  const [info] = await getJson<{ size: number }[]>(`${comfy.url}/userdata?dir=workflows&full_info=true`)
  assert.is(info?.size, 7)
  const moved = await fetch(`${url}/move/workflows%2Fb.json`, { method: 'POST' })
  assert.is(await moved.json(), 'workflows/b.json')
  assert.is((await fetch(`${comfy.url}/userdata/workflows%2Fb.json`)).headers.get('content-type'), 'application/json')
  assert.is((await fetch(`${comfy.url}/userdata/..%2F..%2Fetc`)).status, 403)
  // A proxy that decodes the slash makes another path of it, which the real program does not know.
  assert.is((await fetch(`${comfy.url}/api/userdata/workflows/b.json`, { method: 'POST', body: '{}' })).status, 405)
  assert.is((await fetch(`${comfy.url}/userdata/workflows%2Fb.json`, { method: 'DELETE' })).status, 204)
  assert.is((await fetch(`${comfy.url}/userdata`)).status, 400)
})

test.after(endAll)
test.run()
