import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fileOf, type ModelServer, startModelServer } from '../fixtures/model-server.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const CLI = resolve('test/fixtures/unbundled-cli.ts')
const TSX = resolve('node_modules/tsx/dist/loader.mjs')

interface Ended {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** In a process that is waited for beside the server of this one. */
async function machinegen(
  directory: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  const child = spawn(process.execPath, ['--import', TSX, CLI, ...args], {
    cwd: directory,
    env: { PATH: process.env.PATH, ...env },
  })
  const said = { out: '', err: '' }
  child.stdout.on('data', (text) => (said.out += text))
  child.stderr.on('data', (text) => (said.err += text))
  const [code] = (await once(child, 'close')) as [number]
  return { code, ...said }
}

const test = suite<{ server: ModelServer; directory: string; content: Buffer }>('machinegen lock')
test.before.each(async (context) => {
  context.server = await startModelServer()
  context.directory = temporaryDirectory()
  context.content = fileOf(300_000)
  const sha256 = createHash('sha256').update(context.content).digest('hex')
  const headers = { 'X-Linked-Etag': `"${sha256}"`, 'X-Repo-Commit': 'c0ffee' }
  context.server.files.set('/org/repo/resolve/main/vae.safetensors', { content: context.content, headers })
  context.server.files.set('/plain.pth', { content: context.content, cutAfter: (count) => (count === 2 ? 1000 : null) })
  writeFileSync(
    `${context.directory}/machine.yaml`,
    `machine: { id: m }
services: { comfyui: {} }
models:
  - { url: "hf://org/repo/vae.safetensors", folder: vae, when: before-start }
  - { url: "${context.server.url('/plain.pth')}", folder: upscale_models }
`,
  )
})
test.after.each(({ server }) => server.close())

test('it writes size, hash and commit of every model, and a render keeps to them', async ({
  server,
  directory,
  content,
}) => {
  const env = { HF_ENDPOINT: server.url('') }
  const first = await machinegen(directory, ['lock'], env)
  assert.is(first.code, 0, first.err)
  const lock = JSON.parse(readFileSync(`${directory}/machine.lock.json`, 'utf8'))
  const sha256 = createHash('sha256').update(content).digest('hex')
  const pinned = { sizeBytes: content.length, sha256, validator: '"v1"' }
  assert.equal(lock, {
    version: 1,
    models: [
      { url: 'hf://org/repo/vae.safetensors', file: 'vae.safetensors', ...pinned, revision: 'c0ffee' },
      { url: server.url('/plain.pth'), file: 'plain.pth', ...pinned },
    ],
  })
  const plan = JSON.parse((await machinegen(directory, ['plan', '--json'])).out)
  const [vae] = plan.provisioning.models
  assert.equal([vae.sha256, vae.locked, vae.source.revision], [sha256, true, 'c0ffee'])

  const asked = server.requests.length
  const second = await machinegen(directory, ['lock', '--check'], env)
  assert.is(second.code, 0, second.err + second.out)
  assert.is(server.requests.length - asked, 2, 'what is still the same is not read again')
})

test('a tree is rendered anew when the lock changes, and a model that it lacks is refused', async ({
  server,
  directory,
}) => {
  const env = { HF_ENDPOINT: server.url('') }
  assert.is((await machinegen(directory, ['render', '--out', 'tree'])).code, 0)
  assert.is((await machinegen(directory, ['lock', '--quiet'], env)).code, 0)
  const rendered = await machinegen(directory, ['render', '--out', 'tree'])
  assert.match(readFileSync(`${directory}/tree/etc/machinegen/plan.json`, 'utf8'), /"locked": true/, rendered.err)
  writeFileSync(`${directory}/more.yaml`, `models: [{ url: "https://example.com/new.pth", folder: vae }]\n`)
  const refused = await machinegen(directory, ['validate', 'machine.yaml', 'more.yaml'])
  assert.is(refused.code, 1)
  assert.match(refused.out + refused.err, /LOCK_STALE.*the lock file does not have it/)
})

test('what changed at its source is drift, and what cannot be had writes nothing', async ({ server, directory }) => {
  const env = { HF_ENDPOINT: server.url('') }
  assert.is((await machinegen(directory, ['lock'], env)).code, 0)
  const before = readFileSync(`${directory}/machine.lock.json`, 'utf8')
  Object.assign(server.files.get('/plain.pth')!, { content: fileOf(10_000), etag: '"v2"' })
  const drift = await machinegen(directory, ['lock', '--check'], env)
  assert.equal([drift.code, drift.out], [1, 'machine.lock.json is not up to date\n'])
  server.files.delete('/plain.pth')
  const gone = await machinegen(directory, ['lock'], env)
  assert.is(gone.code, 1)
  assert.match(gone.err, /cannot download models\[1\] .* answers 404/)
  assert.is(readFileSync(`${directory}/machine.lock.json`, 'utf8'), before)
  assert.not(existsSync(`${directory}/machine.lock.json.new`))
})

test('Civitai tells the hash of what it has', async ({ server, directory, content }) => {
  const sha256 = createHash('sha256').update(content).digest('hex')
  const headers = { 'Content-Disposition': 'attachment; filename="lora.safetensors"' }
  server.files.set('/api/download/models/7', { content, headers, etag: null })
  const version = { files: [{ name: 'lora.safetensors', primary: true, hashes: { SHA256: sha256.toUpperCase() } }] }
  server.files.set('/api/v1/model-versions/7', { content: Buffer.from(JSON.stringify(version)) })
  const machine = `machine: { id: m }\nservices: { comfyui: {} }\nmodels: [{ url: "civitai://7", folder: loras }]\n`
  writeFileSync(`${directory}/machine.yaml`, machine)
  const { code, err } = await machinegen(directory, ['lock'], { CIVITAI_ENDPOINT: server.url('') })
  assert.is(code, 0, err)
  const [model] = JSON.parse(readFileSync(`${directory}/machine.lock.json`, 'utf8')).models
  assert.equal([model.file, model.sha256], ['lora.safetensors', sha256])
  assert.ok(server.sentBytes() < 2000)
})

test.run()
