import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryDirectory } from '../temporary-directory.ts'
import { end, endAll, freePort, startSimulated } from './start-simulated.ts'

async function startWebUi(args: string[], env: Record<string, string> = {}, directory = temporaryDirectory()) {
  const port = await freePort()
  const simulated = startSimulated(['automatic1111', '--port', String(port), ...args], env, directory)
  await simulated.waitFor(/Startup time/)
  return { ...simulated, url: `http://127.0.0.1:${port}`, api: `http://127.0.0.1:${port}/sdapi/v1`, directory }
}

async function post(url: string, body?: unknown, headers: Record<string, string> = {}) {
  const text = body === undefined ? {} : { body: JSON.stringify(body) }
  const answer = await fetch(url, { method: 'POST', headers, ...text })
  return { status: answer.status, body: (await answer.json().catch(() => undefined)) as Record<string, never> }
}

const getJson = async <T>(url: string) => (await (await fetch(url)).json()) as T

interface Progress {
  readonly progress: number
  readonly eta_relative: number
  readonly state: { readonly sampling_step: number; readonly job_count: number; readonly interrupted: boolean }
  readonly current_image: string | null
}

test('txt2img gives a PNG while the progress moves', async () => {
  const webUi = await startWebUi(['--api', '--nowebui'], { SIMULATE_STEP_MS: '20' })
  const idle = await getJson<Progress>(`${webUi.api}/progress?skip_current_image=true`)
  assert.is(idle.progress, 0)
  assert.equal(Object.keys(idle.state), [
    ...['skipped', 'interrupted', 'job', 'job_count', 'job_timestamp', 'job_no', 'sampling_step', 'sampling_steps'],
  ])
  const request = { prompt: 'a cat', steps: 10, width: 64, height: 32, n_iter: 2, seed: 5 }
  const result = post(`${webUi.api}/txt2img`, request)
  const seen: number[] = []
  for (let look = 0; look < 12; look++) {
    await sleep(30)
    seen.push((await getJson<Progress>(`${webUi.api}/progress`)).progress)
  }
  const { status, body } = await result
  assert.is(status, 200)
  const moving = seen.filter((value) => value > 0)
  assert.ok(new Set(moving).size >= 3, `progress was ${seen}`)
  assert.equal(
    moving,
    [...moving].sort((a, b) => a - b),
  )
  const images = (body as unknown as { images: string[] }).images.map((image) => Buffer.from(image, 'base64'))
  assert.is(images.length, 2)
  assert.equal([images[0]?.readUInt32BE(16), images[0]?.readUInt32BE(20)], [64, 32])
  assert.match(images[0]?.toString('latin1') ?? '', 'Steps: 10, Sampler: Euler')
  assert.equal(JSON.parse(String(body.info)).all_seeds, [5, 6])
  assert.is((await getJson<Progress>(`${webUi.api}/progress`)).state.job_count, 0)
  await end(webUi)
})

test('a running job can be interrupted, and errors have the shapes of FastAPI and api.py', async () => {
  const webUi = await startWebUi(['--nowebui'], { SIMULATE_STEP_MS: '20' })
  const result = post(`${webUi.api}/txt2img`, { steps: 5000 })
  await sleep(100)
  assert.equal(await post(`${webUi.api}/interrupt`), { status: 200, body: {} })
  assert.is((await result).status, 200)
  const [unknown, wrongMethod, invalid, noBody, sampler, noImage] = await Promise.all([
    post(`${webUi.url}/nothing`),
    post(`${webUi.api}/progress`),
    post(`${webUi.api}/txt2img`, { steps: 'many', prompt: 'x' }),
    post(`${webUi.api}/txt2img`),
    post(`${webUi.api}/txt2img`, { sampler_name: 'None such' }),
    post(`${webUi.api}/img2img`, {}),
  ])
  assert.equal(unknown, { status: 404, body: { detail: 'Not Found' } })
  assert.equal(wrongMethod, { status: 405, body: { detail: 'Method Not Allowed' } })
  const complaint = { loc: ['body', 'steps'], msg: 'value is not a valid integer', type: 'type_error.integer' }
  assert.equal(invalid, { status: 422, body: { detail: [complaint] } })
  assert.equal(noBody?.body, { detail: [{ loc: ['body'], msg: 'field required', type: 'value_error.missing' }] })
  const raised = { error: 'HTTPException', detail: 'Sampler not found', body: '', errors: '' }
  assert.equal(sampler, { status: 404, body: raised })
  assert.is(noImage?.body.detail, 'Init image not found')
  assert.is((await fetch(`${webUi.url}/internal/ping`)).status, 404, 'the UI has that route')
  assert.is((await fetch(`${webUi.url}/`)).status, 404)
  assert.equal(await end(webUi, 'SIGTERM'), { code: 0, signal: null })
})

test('options, models and memory are shown, changed and kept', async () => {
  const directory = temporaryDirectory()
  mkdirSync(join(directory, 'models/Stable-diffusion'), { recursive: true })
  for (const name of ['a.safetensors', 'b.ckpt']) writeFileSync(join(directory, 'models/Stable-diffusion', name), '')
  const webUi = await startWebUi(['--nowebui', '--data-dir', directory, '--api-server-stop'], {}, directory)
  const models = await getJson<{ title: string; model_name: string }[]>(`${webUi.api}/sd-models`)
  assert.equal(
    models.map(({ model_name }) => model_name),
    ['a', 'b'],
  )
  const changed = await post(`${webUi.api}/options`, { sd_model_checkpoint: 'b.ckpt', jpeg_quality: 90 })
  assert.equal(changed, { status: 200, body: null })
  const options = await getJson<Record<string, unknown>>(`${webUi.api}/options`)
  assert.equal([options.sd_model_checkpoint, options.jpeg_quality], [models[1]?.title, 90])
  assert.is(JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8')).jpeg_quality, 90)
  const refused = await post(`${webUi.api}/options`, { sd_model_checkpoint: 'nothing' })
  assert.equal(refused, {
    status: 500,
    body: { error: 'RuntimeError', detail: '', body: '', errors: "model 'nothing' not found" },
  })
  const memory = () => getJson<{ cuda: { system: { free: number } } }>(`${webUi.api}/memory`)
  const before = (await memory()).cuda.system.free
  assert.equal(await post(`${webUi.api}/unload-checkpoint`), { status: 200, body: {} })
  assert.ok((await memory()).cuda.system.free > before)
  assert.equal(await post(`${webUi.api}/refresh-checkpoints`), { status: 200, body: null })
  const flags = await getJson<Record<string, unknown>>(`${webUi.api}/cmd-flags`)
  assert.equal([flags.nowebui, flags.xformers, flags.api_auth], [true, false, null])
  assert.ok((await getJson<{ name: string }[]>(`${webUi.api}/samplers`)).some(({ name }) => name === 'Euler a'))
  assert.is((await fetch(`${webUi.api}/server-restart`, { method: 'POST' })).status, 501)
  await fetch(`${webUi.api}/server-kill`, { method: 'POST' }).catch(() => {})
  assert.equal(await webUi.exited, { code: 0, signal: null })
})

test('with the UI there are pages and a ping, the API asks for its password, and SIGINT ends it', async () => {
  const webUi = await startWebUi(['--api', '--api-auth', 'me:secret', '--use-cpu', 'all'], {
    COMMANDLINE_ARGS: '--no-half',
  })
  assert.is((await fetch(`${webUi.url}/`)).status, 200)
  assert.equal(await getJson(`${webUi.url}/internal/ping`), {})
  const anonymous = await fetch(`${webUi.api}/progress`)
  assert.equal(
    [anonymous.status, await anonymous.json()],
    [401, { error: 'HTTPException', detail: 'Not authenticated', body: '', errors: '' }],
  )
  const authorize = (pair: string) => ({ headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` } })
  assert.is((await fetch(`${webUi.api}/progress`, authorize('me:wrong'))).status, 401)
  const ask = async (path: string) =>
    (await (await fetch(`${webUi.api}/${path}`, authorize('me:secret'))).json()) as Record<string, unknown>
  const flags = await ask('cmd-flags')
  assert.equal([flags.no_half, flags.use_cpu], [true, ['all']])
  assert.equal((await ask('memory')).cuda, { error: 'unavailable' })
  const second = startSimulated(['automatic1111', '--nowebui', '--port', new URL(webUi.url).port], {}, webUi.directory)
  assert.equal(await second.exited, { code: 1, signal: null })
  assert.match(second.output(), '[Errno 98]')
  assert.equal(await end(webUi, 'SIGINT'), { code: 0, signal: null })
})

test('an image that does not fit into the memory is an error of the API', async () => {
  const webUi = await startWebUi(['--nowebui'], { SIMULATE_OOM_EVERY: '1' })
  const { status, body } = await post(`${webUi.api}/txt2img`, { steps: 1 })
  assert.equal([status, body.error], [500, 'OutOfMemoryError'])
  assert.match(String(body.errors), 'CUDA out of memory')
  await end(webUi)
})

test.after(endAll)
test.run()
