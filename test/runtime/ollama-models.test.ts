import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { runTask } from '../../runtime/provision/framework/run-task.ts'
import { ollamaModelsTask, wholeName } from '../../runtime/provision/ollama-models/ollama-models-task.ts'
import { createPullProgress } from '../../runtime/provision/ollama-models/pull-progress.ts'
import type { Plan } from '../../schema/plan.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { end, endAll, freePort, startSimulated } from './start-simulated.ts'

test.after(endAll)

async function startOllama(models: string, env: Record<string, string> = {}, port?: number) {
  const used = port ?? (await freePort())
  const settings = { OLLAMA_HOST: `127.0.0.1:${used}`, OLLAMA_MODELS: models, SIMULATE_STEP_MS: '5', ...env }
  const simulated = startSimulated(['ollama', 'serve'], settings, models)
  await simulated.waitFor(/Listening on/)
  return { simulated, port: used }
}

function planFor(root: string, port: number, models: readonly string[], retries = 3): Plan {
  const plan = planFixture({ root, types: ['ollama'], services: { ollama: { port, address: '127.0.0.1' } } })
  const downloads = { ...plan.provisioning.downloads, retries }
  return { ...plan, provisioning: { ...plan.provisioning, ollamaModels: models, downloads } }
}

async function run(plan: Plan) {
  let text = ''
  const stdout = { write: (more: string) => (text += more) }
  const request = { task: 'ollama-models', plan, environment: {}, dryRun: false, json: true, stdout }
  return { code: await runTask(request, ollamaModelsTask), text: () => text.replaceAll('\\"', '"') }
}

async function tags(port: number): Promise<string[]> {
  const answer = await fetch(`http://127.0.0.1:${port}/api/tags`)
  const { models } = (await answer.json()) as { models: { name: string }[] }
  return models.map(({ name }) => name).sort()
}

const post = (port: number, path: string, body: object) =>
  fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', body: JSON.stringify(body) }).then((answer) =>
    answer.text(),
  )

test('missing models are pulled with progress; the list is kept in line, and what the user pulled stays', async () => {
  const root = temporaryDirectory()
  const { simulated, port } = await startOllama(temporaryDirectory())
  await post(port, '/api/pull', { model: 'own-model' })
  await post(port, '/api/pull', { model: 'mistral' })
  const first = await run(planFor(root, port, ['llama3', 'mistral', 'Qwen:7b']))
  assert.is(first.code, 0, first.text())
  assert.equal(await tags(port), ['Qwen:7b', 'llama3:latest', 'mistral:latest', 'own-model:latest'])
  assert.match(first.text(), /"item":"llama3".*"status":"ok"|"status":"ok".*"llama3"/)
  const bytes = [...first.text().matchAll(/"bytes":(\d+),"totalBytes":null/g)].map((match) => Number(match[1]))
  assert.ok(
    bytes.some((count) => count > 1_000_000),
    'progress was told',
  )
  const second = await run(planFor(root, port, ['Qwen:7b']))
  assert.is(second.code, 0)
  assert.equal(await tags(port), ['Qwen:7b', 'mistral:latest', 'own-model:latest'], 'mistral was there before us')
  await post(port, '/api/pull', { model: 'llama3' })
  assert.is((await run(planFor(root, port, ['Qwen:7b']))).code, 0)
  assert.ok((await tags(port)).includes('llama3:latest'), 'pulled again by the user, it is his')
  await end(simulated)
})

test('a model that no registry has fails at once with its reason; the others are pulled, and none is removed', async () => {
  const root = temporaryDirectory()
  const { simulated, port } = await startOllama(temporaryDirectory())
  assert.is((await run(planFor(root, port, ['old']))).code, 0)
  const result = await run(planFor(root, port, ['nosuch-model', 'llama3']))
  assert.is(result.code, 1)
  assert.match(result.text(), 'cannot pull "nosuch-model": pull model manifest: file does not exist')
  assert.equal(await tags(port), ['llama3:latest', 'old:latest'])
  await end(simulated)
})

test('an Ollama that dies in the middle is waited for, and the pull goes on where it was', async () => {
  const root = temporaryDirectory()
  const models = temporaryDirectory()
  const slow = { SIMULATE_STEP_MS: '150', SIMULATE_MODEL_BYTES: '8000000' }
  const { simulated, port } = await startOllama(models, slow)
  const running = run(planFor(root, port, ['llama3'], 6))
  const { progressFile } = await import('../../runtime/shared/provision-progress.ts')
  const file = progressFile({ run: `${root}/run` }, 'ollama-models')
  const reached = () => {
    try {
      return (JSON.parse(readFileSync(file, 'utf8')) as { bytes: number }).bytes
    } catch {
      return 0
    }
  }
  while (reached() < 3_000_000) await new Promise((resolve) => setTimeout(resolve, 20))
  await end(simulated)
  const again = await startOllama(models, slow, port)
  const result = await running
  assert.is(result.code, 0, result.text())
  assert.match(result.text(), 'tries again in')
  assert.equal(await tags(port), ['llama3:latest'])
  await end(again.simulated)
})

/** An Ollama of which each pull goes as the next script says. */
async function startScripted(scripts: ((request: IncomingMessage, response: ServerResponse) => void)[]) {
  const listed: { name: string }[] = []
  const server = createServer((request, response) => {
    if (request.url === '/api/tags') return void response.end(JSON.stringify({ models: listed }))
    const script = scripts.shift()
    if (script === undefined) return void response.writeHead(500).end()
    script(request, response)
    if (scripts.length === 0) listed.push({ name: 'm:latest' })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => server.close() }
}

test('error lines, cut streams and answers of 500 are tried again; one that never ends well fails', async () => {
  const scripted = await startScripted([
    (_, response) => response.end('{"status":"pulling manifest"}\n{"error":"max retries exceeded: EOF"}\n'),
    (_, response) => response.writeHead(500).end('{"error":"something is locked"}'),
    (_, response) => response.end('{"status":"pulling manifest"}\n'),
    (_, response) => {
      const line = '{"status":"pulling é","digest":"sha256:a","total":10,"completed":10}\n{"status":"success"}'
      const bytes = Buffer.from(line)
      response.write(bytes.subarray(0, 21))
      setTimeout(() => response.end(bytes.subarray(21)), 30)
    },
  ])
  const result = await run(planFor(temporaryDirectory(), scripted.port, ['m'], 5))
  assert.is(result.code, 0, result.text())
  for (const why of ['EOF', 'something is locked', 'hung up before it was done']) assert.match(result.text(), why)
  scripted.close()
  const never = await startScripted([])
  const failed = await run(planFor(temporaryDirectory(), never.port, ['m'], 1))
  assert.is(failed.code, 1)
  assert.match(failed.text(), 'cannot pull "m": Ollama answers 500')
  never.close()
})

test('a killed task that runs again pulls what is left, as a process of its own', async () => {
  const root = temporaryDirectory()
  const { simulated, port } = await startOllama(temporaryDirectory(), { SIMULATE_STEP_MS: '60' })
  mkdirSync(`${root}/config`, { recursive: true })
  const file = `${root}/config/plan.json`
  writeFileSync(file, JSON.stringify(planFor(root, port, ['one', 'two'])))
  const words = ['--import', 'tsx', 'runtime/provision/main.ts', 'ollama-models', '--plan', file]
  const start = () => spawn(process.execPath, words, { stdio: 'ignore' })
  const killed = start()
  while (!(await tags(port)).includes('one:latest')) await new Promise((resolve) => setTimeout(resolve, 50))
  killed.kill('SIGKILL')
  await once(killed, 'exit')
  const [code] = (await once(start(), 'exit')) as [number]
  assert.is(code, 0)
  assert.equal(await tags(port), ['one:latest', 'two:latest'])
  await end(simulated)
})

test('names mean the same in all their forms, and layers add up', () => {
  for (const form of ['llama3', 'LLaMA3:latest', 'library/llama3', 'registry.ollama.ai/library/llama3:latest']) {
    assert.is(wholeName(form), 'llama3:latest', form)
  }
  assert.is(wholeName('hf.co/org/repo:Q4'), 'hf.co/org/repo:q4')
  assert.is(wholeName('registry.ollama.ai/someone/model'), 'someone/model:latest')
  const read = createPullProgress()
  read({ status: 'pulling a', digest: 'a', total: 100 })
  read({ status: 'pulling a', digest: 'a', total: 100, completed: 40 })
  assert.equal(read({ status: 'pulling b', digest: 'b', total: 10, completed: 20 }), {
    bytes: 50,
    totalBytes: 110,
    status: 'pulling',
  })
  assert.is(read({ status: 'verifying sha256 digest' }).status, 'verifying sha256 digest')
})

test.run()
