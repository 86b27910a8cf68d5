import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { modelPlan } from '../fixtures/model-plan.ts'
import { fileOf, type ModelServer, type ServedFile, safetensorsOf, startModelServer } from '../fixtures/model-server.ts'
import { provision } from '../fixtures/provision-models.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const MB = 1024 * 1024
const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex')
const folderOf = (root: string, folder = 'checkpoints') => `${root}/workspace/shared/models/${folder}`

const test = suite<{ server: ModelServer }>('downloading models')
test.before.each(async (context) => {
  context.server = await startModelServer()
})
test.after.each(({ server }) => server.close())

const serve = (server: ModelServer, name: string, content: Buffer, more: Partial<ServedFile> = {}): string => {
  server.files.set(`/${name}`, { content, ...more })
  return server.url(`/${name}`)
}

test('a large file comes in parts at the same time, a small one whole, and both arrive as they are', async ({
  server,
}) => {
  const root = temporaryDirectory()
  const large = safetensorsOf(50 * MB)
  const small = fileOf(300_000)
  server.latencyMs = 40
  const plan = modelPlan(root, [
    { url: serve(server, 'large.safetensors', large), sha256: sha256(large) },
    { url: serve(server, 'small.pth', small), folder: 'upscale_models' },
  ])
  const { code, text } = await provision(plan)
  assert.is(code, 0, text)
  assert.ok(readFileSync(`${folderOf(root)}/large.safetensors`).equals(large))
  assert.ok(readFileSync(`${folderOf(root, 'upscale_models')}/small.pth`).equals(small))
  const ranges = server.requests.filter(({ path }) => path === '/large.safetensors').map(({ headers }) => headers.range)
  assert.ok(ranges.length >= 4, `parts: ${ranges.join(' ')}`)
  assert.equal(readdirSync(folderOf(root)), ['large.safetensors'], 'nothing else is left')
  assert.ok(server.sentBytes() < (large.length + small.length) * 1.02, 'nothing came twice')
})

test('a second run asks nobody and changes nothing, within moments', async ({ server }) => {
  const root = temporaryDirectory()
  const plan = modelPlan(root, [{ url: serve(server, 'a.pth', fileOf(1000)) }])
  assert.is((await provision(plan)).code, 0)
  const asked = server.requests.length
  const { mtimeMs } = statSync(`${folderOf(root)}/a.pth`)
  const startMs = performance.now()
  const { code, said } = await provision(plan)
  assert.is(code, 0)
  assert.ok(performance.now() - startMs < 1000)
  assert.is(server.requests.length, asked)
  assert.is(statSync(`${folderOf(root)}/a.pth`).mtimeMs, mtimeMs)
  assert.ok(said.some(({ type, status }) => type === 'item' && status === 'skipped'))
})

test('an entry that changes is fetched again, and one that names its hash is not', async ({ server }) => {
  const root = temporaryDirectory()
  const [first, second] = [fileOf(1000), fileOf(2000)]
  const url = serve(server, 'a.pth', first)
  assert.is((await provision(modelPlan(root, [{ url }]))).code, 0)
  assert.is((await provision(modelPlan(root, [{ url, sha256: sha256(first) }]))).code, 0)
  assert.ok(server.sentBytes() < 1010, 'the hash of what is there is enough')
  const moved = serve(server, 'b.pth', second)
  const { code, said } = await provision(modelPlan(root, [{ url: moved, file: 'a.pth' }]))
  assert.is(code, 0)
  assert.ok(said.some(({ type, status }) => type === 'item' && status === 'changed'))
  assert.ok(readFileSync(`${folderOf(root)}/a.pth`).equals(second))
  assert.equal(readdirSync(folderOf(root)), ['a.pth'], 'its own old file is not kept')
})

test("a user's file is taken over where it is the model, and kept aside where it is not", async ({ server }) => {
  const root = temporaryDirectory()
  mkdirSync(folderOf(root), { recursive: true })
  const content = fileOf(1000)
  const url = serve(server, 'a.pth', content)
  writeFileSync(`${folderOf(root)}/a.pth`, content)
  assert.is((await provision(modelPlan(root, [{ url, sha256: sha256(content) }]))).code, 0)
  assert.ok(server.sentBytes() < 100, 'nothing was fetched')

  writeFileSync(`${folderOf(root)}/b.pth`, 'something of mine')
  server.files.set('/b.pth', { content })
  const { code, text } = await provision(modelPlan(root, [{ url: server.url('/b.pth') }]))
  assert.is(code, 0)
  assert.match(text, /it is kept as .*b\.pth\.kept/)
  assert.is(readFileSync(`${folderOf(root)}/b.pth.kept`, 'utf8'), 'something of mine')
  assert.ok(readFileSync(`${folderOf(root)}/b.pth`).equals(content))
})

test('a link to a model elsewhere counts as the model', async ({ server }) => {
  const root = temporaryDirectory()
  mkdirSync(folderOf(root), { recursive: true })
  const content = fileOf(1000)
  writeFileSync(`${root}/elsewhere.pth`, content)
  symlinkSync(`${root}/elsewhere.pth`, `${folderOf(root)}/a.pth`)
  const { code, text } = await provision(modelPlan(root, [{ url: serve(server, 'a.pth', content) }]))
  assert.is(code, 0, text)
  assert.ok(server.sentBytes() < 100)
})

test('connections that break at any byte are continued there', async ({ server }) => {
  const root = temporaryDirectory()
  const content = fileOf(3 * MB)
  const cuts = [1, 77_777, 500_000, 1_000_000, 3, 999_999]
  const url = serve(server, 'a.ckpt', content, { cutAfter: (count) => cuts[count - 1] ?? null })
  const { code, text } = await provision(modelPlan(root, [{ url, sha256: sha256(content) }]))
  assert.is(code, 0, text)
  assert.ok(server.sentBytes() < content.length * 1.05, `${server.sentBytes()} bytes`)
  const ranges = server.requests.map(({ headers }) => [headers.range, headers['if-range']])
  assert.equal(ranges[1], [`bytes=1-${content.length - 1}`, '"v1"'])
})

test('a part that was damaged between two runs is found out, and fetched from its beginning', async ({ server }) => {
  const root = temporaryDirectory()
  const content = fileOf(9 * MB)
  const url = serve(server, 'a.ckpt', content, { cutAfter: () => MB })
  const plan = modelPlan(root, [{ url, sha256: sha256(content) }], { downloads: { retries: 0 } })
  assert.is((await provision(plan)).code, 1)
  const part = `${folderOf(root)}/a.ckpt.part`
  const descriptor = openSync(part, 'r+')
  writeSync(descriptor, 'damage', 1000)
  closeSync(descriptor)
  server.files.get('/a.ckpt')!.cutAfter = () => null
  const { code, text } = await provision(plan)
  assert.is(code, 0, text)
  assert.match(text, /its SHA-256 is .*: it is fetched from its beginning/)
  assert.ok(readFileSync(`${folderOf(root)}/a.ckpt`).equals(content))
})

test('a file that changes while it is fetched is fetched from its beginning', async ({ server }) => {
  const root = temporaryDirectory()
  const [first, second] = [fileOf(2 * MB), fileOf(2 * MB)]
  const url = serve(server, 'a.ckpt', first, { cutAfter: (count) => (count === 1 ? MB : null) })
  const file = server.files.get('/a.ckpt')!
  file.intercept = (_request, _response, count) => {
    if (count === 2) Object.assign(file, { content: second, etag: '"v2"' })
    return false
  }
  const { code, text } = await provision(modelPlan(root, [{ url }]))
  assert.is(code, 0, text)
  assert.match(text, /has another file now/)
  assert.ok(readFileSync(`${folderOf(root)}/a.ckpt`).equals(second))
})

test('servers that know no ranges, no validator or no length are served by', async ({ server }) => {
  const root = temporaryDirectory()
  const content = fileOf(200_000)
  const plan = modelPlan(root, [
    {
      url: serve(server, 'no-ranges.pth', content, { ranges: false, cutAfter: (count) => (count === 2 ? 1000 : null) }),
    },
    { url: serve(server, 'no-validator.pth', content, { etag: null }) },
    { url: serve(server, 'weak.pth', content, { etag: 'W/"1"', lastModified: 'Wed, 21 Oct 2015 07:28:00 GMT' }) },
    { url: serve(server, 'unsized.pth', content, { ranges: false, unsized: true }), sha256: sha256(content) },
  ])
  const { code, text } = await provision(plan)
  assert.is(code, 0, text)
  for (const { file } of plan.provisioning.models) {
    assert.ok(readFileSync(`${folderOf(root)}/${file}`).equals(content), file!)
  }
})

test('429 and 503 are waited for as they ask, in seconds and by date', async ({ server }) => {
  const root = temporaryDirectory()
  const content = fileOf(5000)
  const refusals = [
    [429, '1'],
    [503, new Date(Date.now() + 3000).toUTCString()],
    [500, ''],
  ] as const
  const url = serve(server, 'a.pth', content, {
    intercept: (_request, response, count) => {
      const refusal = refusals[count - 1]
      if (refusal === undefined) return false
      response.writeHead(refusal[0], refusal[1] === '' ? {} : { 'Retry-After': refusal[1] }).end()
      return true
    },
  })
  const startMs = Date.now()
  const { code, text } = await provision(modelPlan(root, [{ url }]))
  assert.is(code, 0, text)
  assert.ok(Date.now() - startMs >= 1900)
  assert.match(text, /answers 429; tries again in/)
})

const WRONG: readonly {
  readonly title: string
  readonly file: ServedFile
  readonly name?: string
  readonly message: RegExp
}[] = [
  {
    title: 'a web page',
    file: { content: Buffer.from('<!DOCTYPE html><title>Log in</title>'), headers: { 'Content-Type': 'text/html' } },
    message: /answers with a web page, not with a file/,
  },
  {
    title: 'a web page that says it is none',
    file: { content: Buffer.from('\n<html><body>Not here</body></html>') },
    message: /it is a web page, not a model/,
  },
  {
    title: 'the error of a service',
    file: { content: Buffer.from('{"error":"quota"}') },
    message: /it is the text of an error/,
  },
  {
    title: 'a pointer of git LFS',
    file: { content: Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\n') },
    message: /the pointer of git LFS/,
  },
  { title: 'an empty file', file: { content: Buffer.alloc(0) }, message: /an empty file/ },
  {
    title: 'a safetensors file that is cut',
    name: 'a.safetensors',
    file: { content: safetensorsOf(1000).subarray(0, 900) },
    message: /its tensors have 1000 bytes, and \d+ follow its header: it is cut/,
  },
  {
    title: 'a safetensors file that is none',
    name: 'a.safetensors',
    file: { content: Buffer.from(`${'\x10'.repeat(1)}${'\0'.repeat(7)}{"a": nonsense}}}${'x'.repeat(100)}`) },
    message: /it is no safetensors file/,
  },
]

for (const { title, file, name = 'a.pth', message } of WRONG) {
  test(`${title} in the place of a model is refused and leaves nothing behind`, async ({ server }) => {
    const root = temporaryDirectory()
    server.files.set(`/${name}`, file)
    const { code, text } = await provision(modelPlan(root, [{ url: server.url(`/${name}`) }]))
    assert.is(code, 1)
    assert.match(text, message)
    assert.match(text, /cannot download models\[0\]/)
    assert.equal(existsSync(folderOf(root)) ? readdirSync(folderOf(root)) : [], [])
  })
}

test('a wrong hash and a wrong size are refused, and not fetched again as long as nothing changes', async ({
  server,
}) => {
  const root = temporaryDirectory()
  const content = fileOf(10_000)
  const url = serve(server, 'a.pth', content)
  const plan = modelPlan(root, [{ url, sha256: 'f'.repeat(64) }])
  const first = await provision(plan)
  assert.is(first.code, 1)
  assert.match(first.text, new RegExp(`its SHA-256 is ${sha256(content)}, and the entry says ffff`))
  const sent = server.sentBytes()
  const second = await provision(plan)
  assert.is(second.code, 1)
  assert.match(second.text, /it has not changed/)
  assert.ok(server.sentBytes() - sent < 10)
  const corrected = await provision(modelPlan(root, [{ url, sha256: sha256(content) }]))
  assert.is(corrected.code, 0, corrected.text)
  const sized = await provision(modelPlan(root, [{ url, file: 'b.pth', sizeBytes: 9_999, locked: true }]))
  assert.match(sized.text, /its source has 10000 bytes, and the lock file says 9999/)
})

test('what an optional entry lacks is a warning, and what another lacks stops no other', async ({ server }) => {
  const root = temporaryDirectory()
  const url = serve(server, 'a.pth', fileOf(1000))
  const optional = await provision(modelPlan(root, [{ url: server.url('/gone.pth'), optional: true }, { url }]))
  assert.is(optional.code, 0)
  assert.match(
    optional.text,
    /"type":"done","messages":\["cannot download models\[0\] .* answers 404: nothing is there/,
  )
  const required = await provision(modelPlan(root, [{ url: server.url('/gone.pth') }, { url, file: 'b.pth' }]))
  assert.is(required.code, 1)
  assert.ok(existsSync(`${folderOf(root)}/b.pth`))
})

test('a volume that is too small is said with numbers before anything is fetched', async ({ server }) => {
  const root = temporaryDirectory()
  const url = serve(server, 'a.pth', fileOf(1000), {
    intercept: (request, response) => {
      const size = 10 ** 15
      response.writeHead(206, { 'Content-Range': `bytes 0-0/${size}`, 'Content-Length': 1, ETag: '"v1"' }).end('x')
      return request.headers.range !== undefined
    },
  })
  const small = serve(server, 'small.pth', fileOf(1000))
  const { code, text } = await provision(modelPlan(root, [{ url }, { url: small }]))
  assert.is(code, 1)
  assert.match(text, /cannot download models\[0\] .*: it needs 1000 TB and 537 MB stay free, and .* are free/)
  assert.ok(existsSync(`${folderOf(root)}/small.pth`), 'what fits comes')
  assert.equal(readdirSync(folderOf(root)), ['small.pth'])
})

test('two entries that their sources call the same do not overwrite one another', async ({ server }) => {
  const root = temporaryDirectory()
  const headers = { 'Content-Disposition': 'attachment; filename="../../same name.pth"' }
  const plan = modelPlan(root, [
    { url: serve(server, '1', fileOf(1000), { headers }), file: null },
    { url: serve(server, '2', fileOf(1000), { headers }), file: null },
  ])
  const { code, text } = await provision(plan)
  assert.is(code, 1)
  assert.match(text, /cannot download models\[1\] to "checkpoints\/same name\.pth": models\[0\] goes there/)
  assert.equal(readdirSync(folderOf(root)), ['same name.pth'])
})

test('the bandwidth limit holds for all downloads together', async ({ server }) => {
  const root = temporaryDirectory()
  const plan = modelPlan(
    root,
    [{ url: serve(server, 'a.pth', fileOf(MB)) }, { url: serve(server, 'b.pth', fileOf(MB)) }],
    {
      downloads: { bandwidthBytesPerSecond: MB },
    },
  )
  const startMs = performance.now()
  assert.is((await provision(plan)).code, 0)
  const tookMs = performance.now() - startMs
  assert.ok(tookMs > 1300 && tookMs < 6000, `${tookMs} ms for 2 s of bytes`)
})

test.run()
