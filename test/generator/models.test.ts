import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Compilation, compile } from '../../generator/compile.ts'
import { readModelUrl } from '../../generator/plan/model-source.ts'
import type { PlannedModel } from '../../schema/plan.ts'

const HASH = 'a'.repeat(64)

function compileModels(
  models: readonly object[],
  more: object = {},
  lock: object | string | null = null,
  environment: Record<string, string> = {},
): Compilation {
  const document = { machine: { id: 'm', gpu: { count: 1 } }, services: { comfyui: {} }, models, ...more }
  return compile({
    sources: [{ file: 'machine.json', text: JSON.stringify(document) }],
    environment,
    applyEnvironment: true,
    lock:
      lock === null
        ? null
        : { file: 'machine.lock.json', text: typeof lock === 'string' ? lock : JSON.stringify(lock) },
  })
}

const planned = (compilation: Compilation): readonly PlannedModel[] => compilation.plan!.provisioning.models
const codes = (compilation: Compilation) => compilation.diagnostics.map(({ code }) => code)

const VAE = { url: 'hf://stabilityai/sdxl-vae/sdxl_vae.safetensors', folder: 'vae' }

const SOURCES: readonly [string, object, string | null][] = [
  [
    'hf://org/repo/unet/model.safetensors',
    { kind: 'huggingface', repository: 'org/repo', path: 'unet/model.safetensors', revision: 'main' },
    'model.safetensors',
  ],
  [
    'hf://datasets/org/repo/a.bin@refs/pr/1',
    { kind: 'huggingface', repository: 'datasets/org/repo', path: 'a.bin', revision: 'refs/pr/1' },
    'a.bin',
  ],
  [
    'https://huggingface.co/org/repo/blob/v1/x%20y.ckpt?download=true',
    { kind: 'huggingface', repository: 'org/repo', path: 'x y.ckpt', revision: 'v1' },
    'x y.ckpt',
  ],
  ['civitai://128713', { kind: 'civitai', versionId: '128713' }, null],
  ['https://civitai.com/models/4201/realistic?modelVersionId=130072', { kind: 'civitai', versionId: '130072' }, null],
  [
    'https://civitai.com/api/download/models/130072?type=Model',
    { kind: 'http', url: 'https://civitai.com/api/download/models/130072?type=Model' },
    null,
  ],
  [
    'https://example.com/a/up%20scale.pth#x',
    { kind: 'http', url: 'https://example.com/a/up%20scale.pth' },
    'up scale.pth',
  ],
  ['https://example.com/download?id=7', { kind: 'http', url: 'https://example.com/download?id=7' }, null],
  ['s3://bucket/models/a.ckpt', { kind: 'bucket', provider: 's3', bucket: 'bucket', path: 'models/a.ckpt' }, 'a.ckpt'],
]

for (const [url, source, file] of SOURCES) {
  test(`where ${url} is`, () => assert.equal(readModelUrl(url), { source, file }))
}

const REFUSED: readonly [string, RegExp, string][] = [
  ['hf://org/file.safetensors', /not ORG\/REPOSITORY\/PATH/, 'INVALID_VALUE'],
  ['hf://org/repo/../x', /not ORG\/REPOSITORY\/PATH/, 'INVALID_VALUE'],
  ['civitai://sdxl', /no model version id/, 'INVALID_VALUE'],
  ['https://civitai.com/models/4201', /it is a page/, 'INVALID_VALUE'],
  ['https://huggingface.co/org/repo', /it is a page/, 'INVALID_VALUE'],
  ['s3://bucket', /does not name a bucket/, 'INVALID_VALUE'],
  ['https://user:pass@example.com/a.ckpt', /a user or a password/, 'UNSAFE_VALUE'],
  ['https://example.com/a.ckpt?X-Amz-Signature=1', /is a credential/, 'UNSAFE_VALUE'],
]

for (const [url, message, code] of REFUSED) {
  test(`why ${url} is refused`, () => {
    const { diagnostics } = compileModels([{ url, folder: 'vae' }])
    assert.equal(
      diagnostics.map((one) => one.code),
      [code],
    )
    assert.match(diagnostics[0]!.message, message)
  })
}

test('ComfyUI waits for the models that must be there first, and for no others', () => {
  const both = compileModels([
    { ...VAE, when: 'before-start' },
    { url: 'https://example.com/b.pth', folder: 'upscale_models' },
  ])
  assert.equal(codes(both), [])
  const { services, secrets, provisioning } = both.plan!
  const find = (name: string) => services.find((service) => service.name === name)
  assert.equal(find('comfyui-gpu0')!.waitsFor, ['models'])
  assert.equal([find('models')!.kind, find('models')!.optional], ['task', false])
  assert.is(
    find('models-background')!.optional,
    true,
    'what runs beside the services does not keep the machine unready',
  )
  assert.equal(provisioning.credentials, { HF_TOKEN: 'provisioning.HF_TOKEN' })
  assert.ok(secrets.some(({ name }) => name === 'provisioning.HF_TOKEN'))
  const none = compileModels([{ url: 'https://example.com/b.pth', folder: 'upscale_models' }])
  assert.equal(none.plan!.services.find(({ name }) => name === 'comfyui-gpu0')!.waitsFor, [])
  assert.equal(none.plan!.provisioning.credentials, {})
})

test('a model goes where its folder is, under its own name or the one it is given', () => {
  const [vae, named, unnamed] = planned(
    compileModels([VAE, { ...VAE, file: 'sdxl/vae.sft' }, { url: 'civitai://7', folder: 'loras' }]),
  )
  assert.equal([vae!.directory, vae!.file], ['/workspace/shared/models/vae', 'sdxl_vae.safetensors'])
  assert.is(named!.file, 'sdxl/vae.sft')
  assert.equal([unnamed!.directory, unnamed!.file], ['/workspace/shared/models/loras', null])
})

test('an unknown folder and two models in one place are found', () => {
  const misspelt = compileModels([{ ...VAE, folder: 'checkpoint' }])
  assert.equal(codes(misspelt), ['INVALID_VALUE'])
  assert.is(misspelt.diagnostics[0]!.hint, 'did you mean "checkpoints"?')
  const twice = compileModels([VAE, { url: 'https://example.com/other', folder: 'vae', file: 'sdxl_vae.safetensors' }])
  assert.equal(codes(twice), ['MODEL_CONFLICT'])
  assert.is(twice.diagnostics[0]!.related!.length, 1)
})

test('the token of an entry is a secret and stands nowhere in the plan', () => {
  const model = { url: 'https://example.com/a.pth', folder: 'vae', token: '${OWN_TOKEN}' }
  const compilation = compileModels([model])
  assert.is(planned(compilation)[0]!.tokenSecret, 'models.0.token')
  const literal = compileModels([{ ...model, token: 's3cret-in-clear' }])
  assert.equal(codes(literal), ['LITERAL_SECRET'])
  const open = literal.artifacts.filter(({ mode }) => mode !== 0o600)
  assert.not(open.some(({ content }) => String(content).includes('s3cret-in-clear')))
})

test('a lock pins size, hash, name and commit, and refuses what it does not know', () => {
  const locked = { url: VAE.url, file: 'vae.safetensors', sizeBytes: 7, sha256: HASH, revision: 'c0ffee' }
  const lock = { version: 1, models: [locked] }
  const [model] = planned(compileModels([VAE], {}, lock))
  assert.equal([model!.file, model!.sizeBytes, model!.sha256, model!.locked], ['vae.safetensors', 7, HASH, true])
  assert.is((model!.source as { revision: string }).revision, 'c0ffee')
  assert.equal(codes(compileModels([VAE, { ...VAE, url: 'civitai://7' }], {}, lock)), ['LOCK_STALE'])
  assert.equal(codes(compileModels([{ ...VAE, sha256: 'b'.repeat(64) }], {}, lock)), ['LOCK_STALE'])
  for (const broken of ['{', '[]', '{"version":2}', '{"version":1,"models":[{"url":1}]}']) {
    assert.equal(codes(compileModels([VAE], {}, broken)), ['LOCK_INVALID'], broken)
  }
  assert.equal(codes(compileModels([], {}, '{')), [], 'nothing to lock')
})

test('SKIP_MODEL_DOWNLOAD, the names of tasks and dependencies on them', () => {
  const skipped = compileModels([{ ...VAE, when: 'before-start' }], {}, null, { SKIP_MODEL_DOWNLOAD: 'true' })
  assert.equal(planned(skipped), [])
  assert.not(skipped.plan!.services.some(({ name }) => name === 'models'))
  const task = { command: ['true'], task: true }
  assert.equal(codes(compileModels([], { services: { models: task } })), ['RESERVED_NAME'])
  const waits = compileModels([VAE], { services: { tool: { ...task, dependsOn: ['models-background'] } } })
  assert.equal(codes(waits), [])
  assert.equal(waits.plan!.services.find(({ name }) => name === 'tool')!.waitsFor, ['models-background'])
})

test.run()
