/** ComfyUI's routes (server.py v0.3.64): each one also under /api, except /internal. */
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, parse, resolve } from 'node:path'
import { answerEmpty, answerHtml, answerJson, answerText, type Exchange, type Route } from '../http-answers.ts'
import { listModels } from './model-folders.ts'
import { describeNode } from './node-class.ts'
import { NODE_CLASSES } from './node-classes.ts'
import { type ComfyUi, features } from './program.ts'
import type { Prompt } from './prompt-queue.ts'
import { readJson, readJsonObject } from './refusals.ts'
import { systemStats } from './system-stats.ts'
import { isInside, receiveUpload } from './uploads.ts'
import { userdataRoutes } from './userdata.ts'
import { validatePrompt } from './validate-prompt.ts'
import { directoryOf, view } from './view.ts'

type Handle = Route['handle']
const get = (path: string, handle: Handle): Route => ({ method: 'GET', path, handle })
const post = (path: string, handle: Handle): Route => ({ method: 'POST', path, handle })

export function comfyuiRoutes(comfy: ComfyUi): Route[] {
  const { options } = comfy
  const doubled = [
    ...stateRoutes(comfy),
    ...queueRoutes(comfy),
    ...userdataRoutes(options.directories.user, options.maxUploadBytes),
    get('/view', (exchange) => view(exchange, options.directories)),
    post('/upload/image', (exchange) => receiveUpload(exchange, options.directories, options.maxUploadBytes)),
    post('/upload/mask', (exchange) => uploadMask(exchange, comfy)),
  ]
  const underApi = doubled.map((route) => ({ ...route, path: `/api${route.path}` }))
  return [...underApi, ...doubled, ...internalRoutes(comfy)]
}

function stateRoutes({ options, knobs, memory, folders, library }: ComfyUi): Route[] {
  const json = (path: string, value: () => unknown) => get(path, ({ response }) => answerJson(response, 200, value()))
  return [
    get('/', ({ response }) => answerHtml(response, 200, PAGE)),
    get('/ws', ({ response }) =>
      answerText(response, 400, 'No WebSocket UPGRADE hdr: None\n Can "Upgrade" only to "WebSocket".'),
    ),
    json('/system_stats', () => systemStats(options, knobs, memory)),
    json('/features', () => features(options)),
    json('/models', () => [...folders.keys()]),
    get('/models/{folder}', ({ parameters, response }) => {
      const names = listModels(folders, parameters.folder ?? '')
      if (names === undefined) answerEmpty(response, 404)
      else answerJson(response, 200, names)
    }),
    json('/embeddings', () =>
      (listModels(folders, 'embeddings') ?? []).map((name) => join(parse(name).dir, parse(name).name)),
    ),
    json('/extensions', () => ['/extensions/core/index.js']),
    json('/object_info', () =>
      Object.fromEntries([...NODE_CLASSES].map(([name, node]) => [name, describeNode(node, library)])),
    ),
    get('/object_info/{class}', ({ parameters, response }) => {
      const node = NODE_CLASSES.get(parameters.class ?? '')
      answerJson(response, 200, node ? { [node.name]: describeNode(node, library) } : {})
    }),
  ]
}

function queueRoutes(comfy: ComfyUi): Route[] {
  const { queue, executor, log, memory, options } = comfy
  const body = (exchange: Exchange) => readJsonObject(exchange, options.maxUploadBytes)
  let number = 0
  const nextNumber = (front: boolean) => {
    const taken = number++
    return front ? -taken : taken
  }
  return [
    get('/prompt', ({ response }) => answerJson(response, 200, { exec_info: { queue_remaining: queue.remaining() } })),
    post('/prompt', (exchange) => postPrompt(comfy, exchange, nextNumber)),
    get('/queue', ({ response }) => answerJson(response, 200, queue.snapshot())),
    post('/queue', async (exchange) => {
      const { clear, delete: ids } = await body(exchange)
      if (clear) queue.clear()
      if (Array.isArray(ids)) for (const id of ids) queue.remove(String(id))
      answerEmpty(exchange.response, 200)
    }),
    get('/history', getHistory(comfy)),
    get('/history/{id}', ({ parameters, response }) => answerJson(response, 200, queue.historyOf(parameters.id ?? ''))),
    post('/history', async (exchange) => {
      const { clear, delete: ids } = await body(exchange)
      if (clear) queue.clearHistory()
      if (Array.isArray(ids)) for (const id of ids) queue.removeHistory(String(id))
      answerEmpty(exchange.response, 200)
    }),
    post('/interrupt', async (exchange) => {
      const wanted = await readJson(exchange, options.maxUploadBytes).catch(() => ({}))
      const id = (wanted as { prompt_id?: unknown }).prompt_id
      if (!id || queue.running()?.id === id) executor.interrupt()
      else log.write(`Prompt ${id} is not currently running, skipping interrupt`)
      answerEmpty(exchange.response, 200)
    }),
    post('/free', async (exchange) => {
      const { unload_models: unload, free_memory: free } = await body(exchange)
      // The real worker loop gets to it after the running prompt; with nothing running that is at once.
      if (unload || free) memory.unload()
      if (free) executor.reset()
      answerEmpty(exchange.response, 200)
    }),
  ]
}

function getHistory({ queue }: ComfyUi): Handle {
  return ({ query, response }) => {
    const whole = (name: string) => {
      const text = query.get(name)
      if (text === null) return undefined
      if (!/^-?\d+$/.test(text)) throw new Error(`ValueError: invalid literal for int() with base 10: '${text}'`)
      return Number(text)
    }
    answerJson(response, 200, queue.history(whole('max_items'), whole('offset')))
  }
}

async function postPrompt(
  { queue, log, library, options }: ComfyUi,
  exchange: Exchange,
  nextNumber: (front: boolean) => number,
): Promise<void> {
  log.write('got prompt')
  const body = await readJsonObject(exchange, options.maxUploadBytes)
  const place = 'number' in body ? Number(body.number) : nextNumber(Boolean(body.front))
  const prompt = body.prompt as Prompt | undefined
  if (prompt === undefined || typeof prompt !== 'object' || prompt === null) {
    const message = 'No prompt provided'
    const error = { type: 'no_prompt', message, details: message, extra_info: {} }
    return answerJson(exchange.response, 400, { error, node_errors: {} })
  }
  const { error, outputs, nodeErrors } = validatePrompt(prompt, library)
  if (error) {
    log.write(`invalid prompt: ${JSON.stringify(error)}`)
    return answerJson(exchange.response, 400, { error, node_errors: nodeErrors })
  }
  const id = String(body.prompt_id ?? randomUUID())
  const clientId = body.client_id === undefined ? {} : { client_id: body.client_id }
  const extraData = { ...(body.extra_data as Record<string, unknown> | undefined), ...clientId }
  queue.put({ number: place, id, prompt, extraData, outputs })
  answerJson(exchange.response, 200, { prompt_id: id, number: place, node_errors: nodeErrors })
}

/** A mask is stored only over an original that is there. The stand-in stores it as it came, without mixing the two. */
async function uploadMask(exchange: Exchange, { options }: ComfyUi): Promise<void> {
  await receiveUpload(exchange, options.directories, options.maxUploadBytes, (fields) => {
    const original = JSON.parse(fields.original_ref ?? '') as { filename: string; type?: string; subfolder?: string }
    const directory = directoryOf(options.directories, original.type ?? 'output')
    if (directory === undefined) return false
    const path = resolve(directory, original.subfolder ?? '', original.filename)
    return isInside(directory, path) && existsSync(path)
  })
}

function internalRoutes({ log, folders, options }: ComfyUi): Route[] {
  return [
    get('/internal/logs', ({ response }) =>
      answerJson(
        response,
        200,
        log
          .entries()
          .map(({ t, m }) => `${t} - ${m}`)
          .join(''),
      ),
    ),
    get('/internal/logs/raw', ({ response }) =>
      answerJson(response, 200, { entries: log.entries(), size: { cols: 80, rows: 24 } }),
    ),
    { method: 'PATCH', path: '/internal/logs/subscribe', handle: ({ response }) => answerEmpty(response, 200) },
    get('/internal/folder_paths', ({ response }) =>
      answerJson(response, 200, Object.fromEntries([...folders].map(([type, { paths }]) => [type, paths]))),
    ),
    get('/internal/files/{type}', ({ parameters, response }) => {
      const directory = directoryOf(options.directories, parameters.type ?? '')
      if (directory === undefined) answerJson(response, 400, { error: 'Invalid directory type' })
      else answerJson(response, 200, newestFirst(directory))
    }),
  ]
}

function newestFirst(directory: string): string[] {
  if (!existsSync(directory)) return []
  const files = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile())
  const time = (name: string) => statSync(join(directory, name)).mtimeMs
  return files.map(({ name }) => name).sort((a, b) => time(b) - time(a))
}

const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>ComfyUI (simulated)</title></head>
<body><h1>ComfyUI</h1><p>A stand-in for machines without a GPU. The API is there, the node editor is not.</p></body>
</html>
`
