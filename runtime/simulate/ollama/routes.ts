/** Ollama's API (server/routes.go): models, pulls, answers. */
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerJson, answerText, type Exchange, Refusal, type Route, readBody } from '../http-answers.ts'
import type { Knobs } from '../knobs.ts'
import { type ModelName, parseModelName } from './model-name.ts'
import { hashNumber, type Puller, type PullProgress } from './pull.ts'
import { answerWords, type Runner, readKeepAlive } from './runner.ts'
import type { Store, StoredModel } from './store.ts'

export interface Ollama {
  readonly knobs: Knobs
  readonly store: Store
  readonly puller: Puller
  readonly runner: Runner
  readonly keepAlive: string | undefined
}

type Body = Record<string, unknown>
type Handle = Route['handle']
const get = (path: string, handle: Handle): Route => ({ method: 'GET', path, handle })
const post = (path: string, handle: Handle): Route => ({ method: 'POST', path, handle })

export const OLLAMA_VERSION = '0.12.6'
const MAX_BODY_BYTES = 64 * 1024 ** 2
const CONTEXT_LENGTH = 4096

export function ollamaRoutes(ollama: Ollama): Route[] {
  const { store, runner } = ollama
  return [
    get('/', ({ response }) => answerText(response, 200, 'Ollama is running')),
    get('/api/version', ({ response }) => answerJson(response, 200, { version: OLLAMA_VERSION })),
    get('/api/tags', ({ response }) => answerJson(response, 200, { models: store.list().map(describeModel) })),
    get('/api/ps', ({ response }) => answerJson(response, 200, { models: runner.loaded().map(describeLoaded) })),
    post('/api/pull', (exchange) => pull(exchange, ollama)),
    post('/api/show', (exchange) => show(exchange, ollama)),
    post('/api/generate', (exchange) => converse(exchange, ollama, 'generate')),
    post('/api/chat', (exchange) => converse(exchange, ollama, 'chat')),
    { method: 'DELETE', path: '/api/delete', handle: (exchange) => remove(exchange, ollama) },
  ]
}

async function readJsonBody({ request }: Exchange): Promise<Body> {
  const bytes = await readBody(request, MAX_BODY_BYTES, () => new Refusal(400, 'http: request body too large'))
  if (bytes.length === 0) throw new Refusal(400, 'missing request body')
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Body
  } catch (error) {
    throw new Refusal(400, (error as Error).message)
  }
  throw new Refusal(400, 'json: cannot unmarshal into Go value of type api.Request')
}

const askedName = (body: Body) => String(body.model || body.name || '')

function describeModel({ name, size, digest, modifiedAt }: StoredModel) {
  return { name: name.shown, model: name.shown, modified_at: modifiedAt, size, digest, details: details(name) }
}

function details({ model }: ModelName) {
  const sizes = ['1.2B', '3.2B', '8.0B', '13B', '70.6B']
  return {
    parent_model: '',
    format: 'gguf',
    family: /^[a-z]+/i.exec(model)?.[0]?.toLowerCase() ?? 'llama',
    families: [/^[a-z]+/i.exec(model)?.[0]?.toLowerCase() ?? 'llama'],
    parameter_size: sizes[hashNumber(model) % sizes.length],
    quantization_level: 'Q4_K_M',
  }
}

function describeLoaded({ model, expiresAtMs }: { model: StoredModel; expiresAtMs: number }) {
  const { modified_at: _, ...description } = describeModel(model)
  const expires = new Date(Math.min(expiresAtMs, 8.64e15)).toISOString()
  return { ...description, expires_at: expires, size_vram: model.size, context_length: CONTEXT_LENGTH }
}

async function pull(exchange: Exchange, { puller, store }: Ollama): Promise<void> {
  const body = await readJsonBody(exchange)
  const name = parseModelName(body.model || body.name)
  if (!name) throw new Refusal(400, 'invalid model name')
  const leaving = new AbortController()
  exchange.response.on('close', () => leaving.abort())
  const stream = body.stream !== false
  let last: PullProgress = { status: '' }
  const report = (progress: PullProgress) => {
    last = progress
    if (stream) writeLine(exchange.response, progress)
  }
  try {
    await puller.pull(name, report, leaving.signal)
  } catch (error) {
    if (!stream) throw new Refusal(500, (error as Error).message)
    writeLine(exchange.response, { error: (error as Error).message })
  }
  if (stream) exchange.response.end()
  else if (store.find(name)) answerJson(exchange.response, 200, last)
}

/** One line of an NDJSON stream. What a client that has left does not take is dropped. */
function writeLine(response: ServerResponse, value: unknown): void {
  if (response.destroyed) return
  if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
  response.write(`${JSON.stringify(value)}\n`)
}

function findOr404(store: Store, wanted: string): StoredModel {
  const name = parseModelName(wanted)
  const model = name && store.find(name)
  if (!model) throw new Refusal(404, `model '${wanted}' not found`)
  return model
}

async function show(exchange: Exchange, { store }: Ollama): Promise<void> {
  const body = await readJsonBody(exchange)
  const wanted = askedName(body)
  if (wanted === '') throw new Refusal(400, 'model is required')
  const { name, modifiedAt } = findOr404(store, wanted)
  const { family } = details(name)
  answerJson(exchange.response, 200, {
    license: '',
    modelfile: `# Modelfile generated by "ollama show"\nFROM ${name.shown}\n`,
    parameters: '',
    template: '{{ .Prompt }}',
    details: details(name),
    model_info: { 'general.architecture': family, [`${family}.context_length`]: CONTEXT_LENGTH },
    capabilities: ['completion'],
    modified_at: modifiedAt,
  })
}

async function remove(exchange: Exchange, { store, runner }: Ollama): Promise<void> {
  const body = await readJsonBody(exchange)
  const wanted = askedName(body)
  if (!parseModelName(wanted)) throw new Refusal(400, `name "${wanted}" is invalid`)
  const model = findOr404(store, wanted)
  runner.unload(model)
  store.remove(model.name)
  exchange.response.writeHead(200, { 'Content-Length': 0 }).end()
}

/** /api/generate and /api/chat: a stream of words, or one object; without a prompt a model is loaded or, with keep_alive 0, unloaded. */
async function converse(exchange: Exchange, ollama: Ollama, kind: 'generate' | 'chat'): Promise<void> {
  const body = await readJsonBody(exchange)
  const wanted = String(body.model ?? '')
  if (kind === 'chat' && wanted === '') throw new Refusal(400, 'model is required')
  const model = findOr404(ollama.store, wanted)
  const keepAliveMs = keepAliveOf(body, ollama)
  const prompt = promptOf(body, kind)
  const frame = (text: string) =>
    kind === 'generate' ? { response: text } : { message: { role: 'assistant', content: text } }
  const head = () => ({ model: wanted, created_at: new Date().toISOString() })
  if (prompt === '') {
    if (keepAliveMs === 0) ollama.runner.unload(model)
    else ollama.runner.load(model, keepAliveMs)
    const reason = keepAliveMs === 0 ? 'unload' : 'load'
    return answerJson(exchange.response, 200, { ...head(), ...frame(''), done: true, done_reason: reason })
  }
  failAsToldBy(ollama.knobs)
  ollama.runner.load(model, keepAliveMs)
  const startMs = performance.now()
  const words = answerWords(prompt)
  const stream = body.stream !== false
  for (const word of words) {
    await pace(ollama.knobs)
    if (exchange.response.destroyed) break
    if (stream) writeLine(exchange.response, { ...head(), ...frame(word), done: false })
  }
  if (keepAliveMs === 0) ollama.runner.unload(model)
  const whole = { ...head(), ...frame(stream ? '' : words.join('')), done: true, done_reason: 'stop' }
  const last = { ...whole, ...(kind === 'generate' ? { context: [1, 2, 3] } : {}), ...metrics(startMs, prompt, words) }
  if (!stream) return answerJson(exchange.response, 200, last)
  writeLine(exchange.response, last)
  exchange.response.end()
}

function keepAliveOf(body: Body, { keepAlive }: Ollama): number {
  try {
    return readKeepAlive(body.keep_alive, keepAlive)
  } catch (error) {
    throw new Refusal(400, (error as Error).message)
  }
}

function promptOf(body: Body, kind: 'generate' | 'chat'): string {
  if (kind === 'generate') return String(body.prompt ?? '')
  const messages = Array.isArray(body.messages) ? (body.messages as { content?: unknown }[]) : []
  return String(messages.at(-1)?.content ?? '')
}

/** Nanoseconds, as Go's durations are. */
function metrics(startMs: number, prompt: string, words: readonly string[]) {
  const total = Math.round((performance.now() - startMs) * 1e6)
  return {
    total_duration: total,
    load_duration: 0,
    prompt_eval_count: prompt.split(/\s+/).length,
    prompt_eval_duration: 0,
    eval_count: words.length,
    eval_duration: total,
  }
}

let answered = 0
const startedMs = performance.now()

function failAsToldBy({ oomEvery, cudaFaultAfter }: Knobs): void {
  answered += 1
  const isBroken = cudaFaultAfter !== undefined && answered >= cudaFaultAfter
  if (isBroken)
    throw new Refusal(500, 'llama runner process has terminated: CUDA error: an illegal memory access was encountered')
  const isOut = oomEvery !== undefined && answered % oomEvery === 0
  if (isOut) throw new Refusal(500, 'llama runner process has terminated: cudaMalloc failed: out of memory')
}

async function pace({ stepMs, stallAfterMs }: Knobs): Promise<void> {
  if (stallAfterMs !== undefined && performance.now() - startedMs >= stallAfterMs) await new Promise(() => {})
  await sleep(stepMs)
}
