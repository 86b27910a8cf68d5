/** Automatic1111's API (modules/api/api.py) and the few pages of its UI. */
import { freemem, totalmem } from 'node:os'
import {
  answerEmpty,
  answerHtml,
  answerJson,
  answerText,
  type Exchange,
  type Route,
  readBody,
} from '../http-answers.ts'
import { endProcess } from '../misbehaviour.ts'
import { type Checkpoint, findCheckpoint, listCheckpoints } from './checkpoints.ts'
import type { Options } from './flags.ts'
import type { GenerationFailure, Generator } from './generation.ts'
import { type GenerationRequest, readRequest } from './request-model.ts'
import type { Settings } from './settings.ts'

export interface WebUi {
  readonly options: Options
  readonly generator: Generator
  readonly settings: Settings
  readonly vramBytes: number
}

type Handle = Route['handle']
const get = (path: string, handle: Handle): Route => ({ method: 'GET', path, handle })
const post = (path: string, handle: Handle): Route => ({ method: 'POST', path, handle })

/** img2img bodies hold whole images. */
const MAX_BODY_BYTES = 256 * 1024 ** 2
const MODEL_BYTES = 2_135 * 1024 ** 2
const SAMPLERS: readonly (readonly [string, readonly string[]])[] = [
  ['DPM++ 2M', ['k_dpmpp_2m']],
  ['DPM++ SDE', ['k_dpmpp_sde']],
  ['DPM++ 2M SDE', ['k_dpmpp_2m_sde']],
  ['Euler a', ['k_euler_a', 'k_euler_ancestral']],
  ['Euler', ['k_euler']],
  ['LMS', ['k_lms']],
  ['Heun', ['k_heun']],
  ['DDIM', ['ddim']],
  ['UniPC', ['unipc']],
  ['LCM', ['k_lcm']],
]

/** Raised in an endpoint as FastAPI's HTTPException, which api.py answers in its own shape. */
export function httpException(status: number, detail: string): GenerationFailure & { status: number; detail: string } {
  return { pythonClass: 'HTTPException', message: '', status, detail }
}

export function automatic1111Routes(webUi: WebUi): Route[] {
  const { options } = webUi
  return [...(options.hasUi ? uiRoutes() : []), ...(options.hasApi ? guarded(apiRoutes(webUi), options) : [])]
}

function uiRoutes(): Route[] {
  return [
    get('/', ({ response }) => answerHtml(response, 200, PAGE)),
    get('/internal/ping', ({ response }) => answerJson(response, 200, {})),
    get('/internal/profile-startup', ({ response }) => answerJson(response, 200, { total: 0.1, records: {} })),
    get('/internal/sysinfo', ({ response }) => answerText(response, 200, '{"Platform": "simulated"}')),
  ]
}

/** Basic authentication on every API route, when --api-auth is given. */
function guarded(routes: readonly Route[], { credentials }: Options): Route[] {
  if (credentials.size === 0) return [...routes]
  return routes.map((route) => ({
    ...route,
    handle(exchange) {
      const header = exchange.request.headers.authorization ?? ''
      const [user = '', password] = Buffer.from(header.replace(/^basic /i, ''), 'base64')
        .toString('utf8')
        .split(':', 2)
      if (!/^basic /i.test(header)) throw httpException(401, 'Not authenticated')
      if (password === undefined || credentials.get(user) !== password) {
        throw httpException(401, 'Incorrect username or password')
      }
      return route.handle(exchange)
    },
  }))
}

function apiRoutes(webUi: WebUi): Route[] {
  const { options, generator, settings } = webUi
  let modelLoaded = true
  const json = (path: string, value: (exchange: Exchange) => unknown) =>
    get(`/sdapi/v1/${path}`, (exchange) => answerJson(exchange.response, 200, value(exchange)))
  const act = (path: string, value: unknown, action: () => void) =>
    post(`/sdapi/v1/${path}`, ({ request, response }) => {
      request.resume()
      action()
      answerJson(response, 200, value)
    })
  return [
    json('progress', ({ query }) => generator.progress(query.get('skip_current_image')?.toLowerCase() !== 'true')),
    json('memory', () => memory(webUi, modelLoaded)),
    json('options', () => settings.all()),
    post('/sdapi/v1/options', (exchange) => setOptions(exchange, webUi)),
    json('cmd-flags', () => options.flags),
    json('samplers', () => SAMPLERS.map(([name, aliases]) => ({ name, aliases, options: {} }))),
    json('sd-models', () => checkpoints(options)),
    json('sd-vae', () => []),
    json('loras', () => []),
    json('upscalers', () => [
      { name: 'None', model_name: null, model_path: null, model_url: null, scale: 4 },
      { name: 'Lanczos', model_name: null, model_path: null, model_url: null, scale: 4 },
    ]),
    json('scripts', () => ({ txt2img: [], img2img: [] })),
    json('embeddings', () => ({ loaded: {}, skipped: {} })),
    post('/sdapi/v1/txt2img', (exchange) => generate(exchange, webUi, 'txt2img')),
    post('/sdapi/v1/img2img', (exchange) => generate(exchange, webUi, 'img2img')),
    act('interrupt', {}, () => generator.interrupt()),
    act('skip', null, () => generator.skip()),
    act('unload-checkpoint', {}, () => {
      modelLoaded = false
    }),
    act('reload-checkpoint', {}, () => {
      modelLoaded = true
    }),
    act('refresh-checkpoints', null, () => {}),
    ...(options.allowsServerStop ? stopRoutes(options) : []),
  ]
}

const checkpoints = (options: Options): Checkpoint[] =>
  listCheckpoints(options.checkpointDirectory, options.downloadsModel)

function stopRoutes({ hasUi }: Options): Route[] {
  return [
    post('/sdapi/v1/server-kill', () => endProcess(0)),
    // Only webui.sh can restart it, and it says so by an environment variable.
    post('/sdapi/v1/server-restart', ({ response }) => {
      if (process.env.SD_WEBUI_RESTART) endProcess(0)
      answerEmpty(response, 501)
    }),
    post('/sdapi/v1/server-stop', ({ response }) => {
      response.on('finish', () => {
        // Without the UI nobody reads the command.
        if (hasUi) setImmediate(() => endProcess(0))
      })
      answerText(response, 200, 'Stopping.')
    }),
  ]
}

function memory({ options, generator, vramBytes }: WebUi, modelLoaded: boolean): unknown {
  const { rss } = process.memoryUsage()
  const ram = { free: freemem(), used: rss, total: totalmem() }
  if (options.cpu) return { ram, cuda: { error: 'unavailable' } }
  const { outOfMemory, error } = generator.cuda()
  if (error !== undefined) return { ram, cuda: { error } }
  const used = modelLoaded ? Math.min(MODEL_BYTES, vramBytes) : 0
  const both = { current: used, peak: used }
  return {
    ram,
    cuda: {
      system: { free: vramBytes - used, used, total: vramBytes },
      active: both,
      allocated: both,
      reserved: both,
      inactive: { current: 0, peak: 0 },
      events: { retries: 0, oom: outOfMemory },
    },
  }
}

/** The body, or nothing when it has been refused with 422. */
async function readValid({ request, response }: Exchange): Promise<GenerationRequest | undefined> {
  const body = await readBody(request, MAX_BODY_BYTES, () => new Error('the body is too large'))
  const read = readRequest(body)
  if ('request' in read) return read.request
  answerJson(response, 422, { detail: read.complaints })
  return undefined
}

async function setOptions(exchange: Exchange, { options, settings }: WebUi): Promise<void> {
  const body = await readValid(exchange)
  if (body === undefined) return
  const sent: Record<string, unknown> = { ...body.sent }
  const wanted = sent.sd_model_checkpoint
  if (typeof wanted === 'string') {
    const found = findCheckpoint(checkpoints(options), wanted)
    if (!found)
      throw { pythonClass: 'RuntimeError', message: `model '${wanted}' not found` } satisfies GenerationFailure
    sent.sd_model_checkpoint = found.title
  }
  settings.set(sent)
  answerJson(exchange.response, 200, null)
}

async function generate(exchange: Exchange, webUi: WebUi, kind: 'txt2img' | 'img2img'): Promise<void> {
  const request = await readValid(exchange)
  if (request === undefined) return
  const sampler = request.text('sampler_name') || request.text('sampler_index')
  if (!SAMPLERS.some(([name, aliases]) => name === sampler || aliases.includes(sampler))) {
    throw httpException(404, 'Sampler not found')
  }
  if (kind === 'img2img' && !Array.isArray(request.values.init_images)) throw httpException(404, 'Init image not found')
  if (checkpoints(webUi.options).length === 0) {
    const message = "'NoneType' object has no attribute 'lowvram'"
    throw { pythonClass: 'AttributeError', message } satisfies GenerationFailure
  }
  const answer = await produce(request, webUi, kind, sampler)
  answerJson(exchange.response, 200, answer)
}

async function produce(request: GenerationRequest, { generator, settings }: WebUi, kind: string, sampler: string) {
  const number = request.number
  const seed = number('seed') < 0 ? Math.floor(Math.random() * 2 ** 32) : number('seed')
  const [width, height, steps] = [number('width'), number('height'), number('steps')]
  const infotext = (of: number) =>
    `${request.text('prompt')}\nSteps: ${steps}, Sampler: ${sampler}, CFG scale: ${number('cfg_scale')}, Seed: ${of}, ` +
    `Size: ${width}x${height}, Model: ${settings.get('sd_model_checkpoint')}, Version: v1.10.1`
  const [batchSize, iterations] = [number('batch_size'), number('n_iter')]
  const job = { width, height, steps, batchSize, iterations, seed, name: `scripts_${kind}`, infotext }
  const images = await generator.generate(job)
  const seeds = images.map((_, index) => seed + index)
  const info = {
    prompt: request.text('prompt'),
    all_prompts: seeds.map(() => request.text('prompt')),
    negative_prompt: request.text('negative_prompt'),
    seed,
    all_seeds: seeds,
    width,
    height,
    sampler_name: sampler,
    cfg_scale: number('cfg_scale'),
    steps,
    batch_size: batchSize,
    infotexts: seeds.map(infotext),
    version: 'v1.10.1',
  }
  const shown = request.values.include_init_images === true ? {} : { init_images: null }
  return {
    images: request.values.send_images === false ? [] : images.map((image) => image.toString('base64')),
    parameters: { ...request.values, ...(kind === 'img2img' ? shown : {}) },
    info: JSON.stringify(info),
  }
}

const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Stable Diffusion (simulated)</title></head>
<body><h1>Stable Diffusion</h1><p>A stand-in for machines without a GPU. The API is there, the UI is not.</p></body>
</html>
`
