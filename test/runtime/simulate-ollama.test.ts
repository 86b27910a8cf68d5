import { existsSync, readdirSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isAllowedHost } from '../../runtime/simulate/ollama/host-check.ts'
import { parseModelName } from '../../runtime/simulate/ollama/model-name.ts'
import { readKeepAlive } from '../../runtime/simulate/ollama/runner.ts'
import { readHost } from '../../runtime/simulate/ollama/start.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { end, endAll, freePort, startSimulated } from './start-simulated.ts'

async function startOllama(models = temporaryDirectory(), env: Record<string, string> = {}) {
  const port = await freePort()
  const host = { OLLAMA_HOST: `127.0.0.1:${port}`, OLLAMA_MODELS: models }
  const simulated = startSimulated(['ollama', 'serve'], { ...host, SIMULATE_STEP_MS: '10', ...env }, models)
  await simulated.waitFor(/Listening on/)
  return { ...simulated, url: `http://127.0.0.1:${port}`, port, models }
}

interface Line extends Record<string, unknown> {
  readonly message?: { readonly content: string }
}

async function post(url: string, body: unknown, method = 'POST') {
  const answer = await fetch(url, { method, body: JSON.stringify(body) })
  const text = await answer.text()
  const lines = text.split('\n').filter((line) => line !== '')
  return {
    status: answer.status,
    type: answer.headers.get('content-type'),
    lines: lines.map((line) => JSON.parse(line) as Line),
  }
}

const getJson = async <T>(url: string) => (await (await fetch(url)).json()) as T

/** Reads a pull's lines until `enough`, then leaves. */
async function leavePull(url: string, model: string, enough: (line: Line) => boolean): Promise<void> {
  const leaving = new AbortController()
  const answer = await fetch(`${url}/api/pull`, {
    method: 'POST',
    body: JSON.stringify({ model }),
    signal: leaving.signal,
  })
  let text = ''
  for await (const chunk of answer.body ?? []) {
    text += Buffer.from(chunk).toString()
    const lines = text.split('\n').slice(0, -1)
    if (lines.some((line) => enough(JSON.parse(line) as Line))) break
  }
  leaving.abort()
}

test('a pull streams its steps, and the model is there afterwards, also after a restart', async () => {
  const ollama = await startOllama()
  assert.is(await (await fetch(ollama.url)).text(), 'Ollama is running')
  assert.is((await fetch(ollama.url, { method: 'HEAD' })).status, 200)
  assert.type((await getJson<{ version: string }>(`${ollama.url}/api/version`)).version, 'string')
  const { lines, type } = await post(`${ollama.url}/api/pull`, { model: 'llama3' })
  assert.is(type, 'application/x-ndjson')
  assert.equal(lines[0], { status: 'pulling manifest' })
  assert.equal(
    lines.slice(-3).map(({ status }) => status),
    ['verifying sha256 digest', 'writing manifest', 'success'],
  )
  const first = lines[1]
  assert.match(String(first?.status), /^pulling [0-9a-f]{12}$/)
  const weights = lines.filter(({ digest }) => digest === first?.digest)
  const completed = weights.map((line) => Number(line.completed ?? 0))
  assert.ok(completed.length > 2 && completed.at(-1) === first?.total, `completed was ${completed}`)
  assert.equal(
    completed,
    [...completed].sort((a, b) => a - b),
  )
  const [model] = (await getJson<{ models: Record<string, unknown>[] }>(`${ollama.url}/api/tags`)).models
  assert.equal([model?.name, model?.model], ['llama3:latest', 'llama3:latest'])
  assert.equal(Object.keys(model?.details as object), [
    ...['parent_model', 'format', 'family', 'families', 'parameter_size', 'quantization_level'],
  ])
  assert.equal(await end(ollama, 'SIGTERM'), { code: 0, signal: null })
  const again = await startOllama(ollama.models)
  const { models } = await getJson<{ models: { name: string }[] }>(`${again.url}/api/tags`)
  assert.equal(
    models.map(({ name }) => name),
    ['llama3:latest'],
  )
  const second = await post(`${again.url}/api/pull`, { model: 'llama3', stream: false })
  assert.equal(second.lines, [{ status: 'success' }])
  assert.equal((await post(`${again.url}/api/delete`, { model: 'llama3' }, 'DELETE')).status, 200)
  assert.equal(await getJson(`${again.url}/api/tags`), { models: [] })
  assert.equal(readdirSync(join(ollama.models, 'blobs')), [])
  await end(again, 'SIGINT')
})

test('a pull that is cancelled, or killed, goes on where it stopped', async () => {
  const ollama = await startOllama(temporaryDirectory(), { SIMULATE_STEP_MS: '40' })
  await leavePull(ollama.url, 'big', ({ completed, total }) => Number(completed) > Number(total) / 4)
  const partial = readdirSync(join(ollama.models, 'blobs')).filter((name) => name.includes('-partial'))
  assert.is(partial.length, 2)
  await leavePull(ollama.url, 'big', ({ completed, total }) => Number(completed) > Number(total) / 2)
  await end(ollama)
  const again = await startOllama(ollama.models)
  const { lines } = await post(`${again.url}/api/pull`, { model: 'big' })
  const [first] = lines.filter(({ total }) => total !== undefined)
  assert.ok(Number(first?.completed) >= Number(first?.total) / 2, `went on at ${first?.completed} of ${first?.total}`)
  assert.is(lines.at(-1)?.status, 'success')
  assert.not(readdirSync(join(ollama.models, 'blobs')).some((name) => name.includes('partial')))
  await end(again)
})

test('two pulls of one model share one download', async () => {
  const ollama = await startOllama(temporaryDirectory(), { SIMULATE_STEP_MS: '30' })
  const [leaver, stayer] = await Promise.all([
    leavePull(ollama.url, 'shared', ({ completed }) => Number(completed) > 0),
    post(`${ollama.url}/api/pull`, { name: 'shared' }),
  ])
  assert.is(leaver, undefined)
  assert.is(stayer.lines.at(-1)?.status, 'success')
  await end(ollama)
})

test('unknown models and bad names are refused as the real server does', async () => {
  const ollama = await startOllama()
  const { status, lines } = await post(`${ollama.url}/api/pull`, { model: 'nosuch' })
  assert.equal([status, lines.at(-1)], [200, { error: 'pull model manifest: file does not exist' }])
  const whole = await post(`${ollama.url}/api/pull`, { model: 'nosuch', stream: false })
  assert.equal([whole.status, whole.lines], [500, [{ error: 'pull model manifest: file does not exist' }]])
  assert.equal((await post(`${ollama.url}/api/pull`, { model: 'a b' })).lines, [{ error: 'invalid model name' }])
  const missing = await post(`${ollama.url}/api/generate`, { model: 'llama3', prompt: 'x' })
  assert.equal([missing.status, missing.lines], [404, [{ error: "model 'llama3' not found" }]])
  assert.is((await post(`${ollama.url}/api/chat`, { model: 'llama3' })).status, 404)
  assert.is((await post(`${ollama.url}/api/show`, { model: 'llama3' })).status, 404)
  assert.is((await post(`${ollama.url}/api/delete`, { model: 'llama3' }, 'DELETE')).status, 404)
  const empty = await fetch(`${ollama.url}/api/pull`, { method: 'POST' })
  assert.equal([empty.status, await empty.json()], [400, { error: 'missing request body' }])
  assert.is((await fetch(`${ollama.url}/api/nothing`)).status, 404)
  assert.is((await fetch(`${ollama.url}/api/pull`)).status, 405)
  const busy = startSimulated(['ollama', 'serve'], { OLLAMA_HOST: `127.0.0.1:${ollama.port}` }, ollama.models)
  assert.equal(await busy.exited, { code: 1, signal: null })
  assert.match(busy.output(), 'bind: address already in use')
  await end(ollama)
})

test('answers stream word by word, load the model, and keep it as long as asked', async () => {
  const ollama = await startOllama()
  await post(`${ollama.url}/api/pull`, { model: 'llama3', stream: false })
  const generated = await post(`${ollama.url}/api/generate`, { model: 'llama3', prompt: 'hello' })
  assert.ok(generated.lines.length > 3)
  assert.equal([generated.lines.at(-1)?.done, generated.lines.at(-1)?.done_reason], [true, 'stop'])
  assert.match(generated.lines.map(({ response }) => response).join(''), 'hello')
  const [loaded] = (await getJson<{ models: Record<string, unknown>[] }>(`${ollama.url}/api/ps`)).models
  assert.is(loaded?.name, 'llama3:latest')
  const minutes = (Date.parse(String(loaded?.expires_at)) - Date.now()) / 60_000
  assert.ok(minutes > 4 && minutes <= 5)
  const chat = await post(`${ollama.url}/api/chat`, {
    model: 'llama3',
    messages: [{ role: 'user', content: 'hi' }],
    stream: false,
  })
  assert.match(chat.lines[0]?.message?.content ?? '', 'hi')
  const unloaded = await post(`${ollama.url}/api/generate`, { model: 'llama3', keep_alive: 0 })
  assert.is(unloaded.lines[0]?.done_reason, 'unload')
  assert.equal(await getJson(`${ollama.url}/api/ps`), { models: [] })
  await end(ollama)
})

test('on loopback only local names are answered', async () => {
  const ollama = await startOllama()
  const ask = (host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const sent = request(`${ollama.url}/api/version`, { headers: { host } }, (answer) => {
        answer.resume()
        resolve(answer.statusCode)
      })
      sent.on('error', reject).end()
    })
  assert.is(await ask('machine.example'), 403)
  assert.is(await ask('localhost:11434'), 200)
  await end(ollama)
  assert.ok(isAllowedHost('0.0.0.0', 'machine.example'))
  assert.ok(isAllowedHost('127.0.0.1', '[::1]:80') && isAllowedHost('127.0.0.1', 'a.internal'))
})

test('hosts, names and durations are read by the rules of the real program', () => {
  assert.equal(readHost(undefined), { host: '127.0.0.1', port: 11434 })
  assert.equal(readHost('0.0.0.0'), { host: '0.0.0.0', port: 11434 })
  assert.equal(readHost(':8080'), { host: '127.0.0.1', port: 8080 })
  assert.equal(readHost('https://example.com'), { host: 'example.com', port: 443 })
  assert.equal(readHost('[::1]:5'), { host: '::1', port: 5 })
  assert.is(parseModelName('llama3')?.shown, 'llama3:latest')
  assert.is(parseModelName('hf.co/org/model:Q4')?.shown, 'hf.co/org/model:Q4')
  assert.is(parseModelName('a/b/c/d'), undefined)
  assert.is(parseModelName(''), undefined)
  assert.is(readKeepAlive('1h30m', undefined), 5_400_000)
  assert.is(readKeepAlive(undefined, '10'), 10_000)
  assert.ok(readKeepAlive(-1, undefined) > 1e12)
  assert.throws(() => readKeepAlive('soon', undefined), /invalid duration/)
})

test('without OLLAMA_MODELS models are kept below the home directory', async () => {
  const home = temporaryDirectory()
  const env = { OLLAMA_HOST: `127.0.0.1:${await freePort()}` }
  const ollama = startSimulated(['ollama', 'serve'], env, home)
  await ollama.waitFor(/Listening on/)
  assert.ok(existsSync(join(home, '.ollama/models/blobs')))
  await end(ollama)
})

test.after(endAll)
test.run()
