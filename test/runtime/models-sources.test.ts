import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { authorization, credentialsOf } from '../../runtime/provision/models/credentials.ts'
import { sourceUrl } from '../../runtime/provision/models/model-source.ts'
import type { Plan } from '../../schema/plan.ts'
import { modelPlan, writeSecret } from '../fixtures/model-plan.ts'
import { fileOf, type ModelServer, type ServedFile, startModelServer } from '../fixtures/model-server.ts'
import { provision } from '../fixtures/provision-models.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex')
const folderOf = (root: string) => `${root}/workspace/shared/models/checkpoints`

const test = suite<{ hub: ModelServer; store: ModelServer }>('sources of models')
test.before.each(async (context) => {
  context.hub = await startModelServer()
  context.store = await startModelServer()
})
test.after.each(async ({ hub, store }) => {
  await hub.close()
  await store.close()
})

/** The same server under another name: another host to whoever looks at names. */
const elsewhere = (server: ModelServer, path: string) => `http://localhost:${server.port}${path}`

const answering = (status: number, headers: Record<string, string> = {}): ServedFile => ({
  content: Buffer.alloc(0),
  intercept: (_request, response) => {
    response.writeHead(status, headers).end()
    return true
  },
})

const redirectTo = (location: string, headers: Record<string, string> = {}) =>
  answering(302, { Location: location, ...headers })

test('a token goes to the host of its entry, and not along to where that redirects', async ({ hub, store }) => {
  const root = temporaryDirectory()
  const content = fileOf(5000)
  store.files.set('/signed', { content })
  hub.files.set('/a.pth', redirectTo(elsewhere(store, '/signed')))
  writeSecret(root, 'models.0.token', 's3cret-token')
  const plan: Plan = {
    ...modelPlan(root, [{ url: hub.url('/a.pth'), tokenSecret: 'models.0.token' }]),
    secrets: [{ name: 'models.0.token', field: '/models/0/token', source: { kind: 'reference', template: '${T}' } }],
  }
  const { code, text } = await provision(plan)
  assert.is(code, 0, text)
  assert.ok(hub.requests.every(({ headers }) => headers.authorization === 'Bearer s3cret-token'))
  assert.ok(store.requests.length > 0)
  assert.ok(store.requests.every(({ headers }) => headers.authorization === undefined))
  const written = readdirSync(`${root}/workspace/.machine`, { recursive: true, withFileTypes: true })
  for (const entry of written.filter((one) => one.isFile())) {
    assert.not(readFileSync(`${entry.parentPath}/${entry.name}`, 'utf8').includes('s3cret-token'), entry.name)
  }
  assert.not(text.includes('s3cret-token'))
})

test('tokens of hubs go to their hosts over TLS, and to no other', () => {
  const [model] = modelPlan('/r', [{ url: 'https://models.example.com/a.pth', tokenSecret: 'own' }]).provisioning.models
  const secrets: Record<string, string> = { own: 'OWN', hf: 'HF', civitai: 'CIVITAI' }
  const provisioning = { credentials: { HF_TOKEN: 'hf', CIVITAI_TOKEN: 'civitai' } }
  const credentials = credentialsOf(model!, new URL(model!.url), provisioning, (name) => secrets[name] ?? null)
  const sent = (url: string) => authorization(credentials)(new URL(url)).Authorization
  assert.is(sent('https://huggingface.co/a/b/resolve/main/c'), 'Bearer HF')
  assert.is(sent('https://civitai.com/api/download/models/1'), 'Bearer CIVITAI')
  assert.is(sent('https://models.example.com/elsewhere'), 'Bearer OWN')
  for (const other of [
    'http://huggingface.co/a',
    'https://huggingface.co.example.com/a',
    'https://cdn-lfs.huggingface.co/a',
    'https://huggingface.co:8443/a',
    'http://models.example.com/a.pth',
    'https://models.example.com:8443/a.pth',
    'https://example.com/a.pth',
  ]) {
    assert.is(sent(other), undefined, other)
  }
})

test('who is not let in reads which entry it was, which host, and which variable to set', async ({ hub }) => {
  const root = temporaryDirectory()
  hub.files.set('/closed.pth', answering(403))
  hub.files.set('/org/repo/resolve/main/gated.safetensors', answering(401))
  const plan = modelPlan(root, [
    { url: hub.url('/closed.pth') },
    {
      url: 'hf://org/repo/gated.safetensors',
      source: { kind: 'huggingface', repository: 'org/repo', path: 'gated.safetensors', revision: 'main' },
    },
  ])
  const { code, said } = await provision(plan, { HF_ENDPOINT: hub.url('/') })
  assert.is(code, 1)
  const messages = said
    .filter(({ type, status }) => type === 'item' && status === 'failed')
    .map(({ message }) => message)
  const host = `127.0.0.1:${hub.port}`
  assert.is(
    messages[0],
    `cannot download models[0] (checkpoints/closed.pth): ${host} answers 403: give models[0] a token for ${host}: token: "\${MY_MODELS_TOKEN}"`,
  )
  assert.match(String(messages[1]), /models\[1\] \(checkpoints\/gated\.safetensors\): .* answers 401/)
  assert.is(hub.requests.length, 2, 'nobody asks twice')
})

test('a hub that names a file by its hash is believed: hash and commit are taken from its redirect', async ({
  hub,
  store,
}) => {
  const root = temporaryDirectory()
  const content = fileOf(50_000)
  store.files.set('/blob', { content, etag: '"of the store"' })
  const said = { 'X-Linked-Etag': `"${sha256(content)}"`, 'X-Repo-Commit': 'c0ffee' }
  hub.files.set('/org/repo/resolve/v1%2F2/a b.ckpt', redirectTo(elsewhere(store, '/blob'), said))
  hub.files.set('/org/repo/resolve/v1/2/a b.ckpt', redirectTo(elsewhere(store, '/blob'), said))
  const source = { kind: 'huggingface', repository: 'org/repo', path: 'a b.ckpt', revision: 'v1/2' } as const
  const plan = modelPlan(root, [{ url: 'hf://org/repo/a b.ckpt@v1/2', source, file: 'a b.ckpt' }])
  const environment = { HF_ENDPOINT: hub.url('/') }
  const good = await provision(plan, environment)
  assert.is(good.code, 0, good.text)
  assert.is(hub.requests[0]!.path, '/org/repo/resolve/v1%2F2/a%20b.ckpt')
  const state = JSON.parse(readFileSync(`${root}/workspace/.machine/provision/models.json`, 'utf8'))
  const [record] = Object.values<{ sha256: string }>(state.entries)
  assert.is(record!.sha256, sha256(content))

  const other = temporaryDirectory()
  store.files.get('/blob')!.content = fileOf(50_000)
  const bad = await provision(
    { ...modelPlan(other, [{ ...plan.provisioning.models[0]!, directory: folderOf(other) }]) },
    environment,
  )
  assert.is(bad.code, 1)
  assert.match(bad.text, /its SHA-256 is/)
})

test('Civitai says what its file is called', async ({ hub, store }) => {
  const root = temporaryDirectory()
  const headers = { 'Content-Disposition': `attachment; filename="x.safetensors"; filename*=UTF-8''sch%C3%B6n.pth` }
  store.files.set('/r2', { content: fileOf(5000), headers })
  hub.files.set('/api/download/models/128713', redirectTo(elsewhere(store, '/r2?X-Amz-Signature=1')))
  const plan = modelPlan(root, [
    { url: 'civitai://128713', source: { kind: 'civitai', versionId: '128713' }, file: null },
  ])
  const { code, text } = await provision(plan, { CIVITAI_ENDPOINT: hub.url('') })
  assert.is(code, 0, text)
  assert.equal(readdirSync(folderOf(root)), ['schön.pth'])
  const asked = hub.requests.length
  assert.is((await provision(plan)).code, 0)
  assert.is(hub.requests.length, asked, 'the second run knows the name')
})

test('addresses that have expired are asked for anew', async ({ hub, store }) => {
  const root = temporaryDirectory()
  const content = fileOf(2_000_000)
  let given = 0
  hub.files.set('/a.ckpt', {
    content,
    intercept: (_request, response) => {
      given += 1
      response.writeHead(307, { Location: elsewhere(store, `/signed-${given}`) }).end()
      return true
    },
  })
  // Each address is good for one request.
  for (const [path, cut] of [
    ['/signed-1', null],
    ['/signed-2', 700_000],
    ['/signed-3', null],
  ] as const) {
    store.files.set(path, {
      content,
      cutAfter: () => cut,
      intercept: (_request, response, count) => {
        if (count > 1) response.writeHead(403).end()
        return count > 1
      },
    })
  }
  const { code, text } = await provision(modelPlan(root, [{ url: hub.url('/a.ckpt') }]))
  assert.is(code, 0, text)
  assert.ok(readFileSync(`${folderOf(root)}/a.ckpt`).equals(content))
})

test('redirects in circles, to nowhere and to other kinds of address end', async ({ hub }) => {
  const root = temporaryDirectory()
  hub.files.set('/circle.pth', redirectTo(hub.url('/circle.pth')))
  hub.files.set('/file.pth', redirectTo('file:///etc/passwd'))
  const plan = modelPlan(root, [{ url: hub.url('/circle.pth') }, { url: hub.url('/file.pth') }])
  const { code, text } = await provision(plan)
  assert.is(code, 1)
  assert.match(text, /leads in circles/)
  assert.match(text, /leads to "file:\/\/"/)
})

test('the addresses of sources', () => {
  const hf = { kind: 'huggingface', repository: 'datasets/o/r', path: 'a/b c#.bin', revision: 'main' } as const
  assert.is(sourceUrl(hf, {}).href, 'https://huggingface.co/datasets/o/r/resolve/main/a/b%20c%23.bin')
  assert.is(sourceUrl(hf, { HF_ENDPOINT: 'https://mirror.example/' }).host, 'mirror.example')
  assert.is(sourceUrl({ kind: 'civitai', versionId: '7' }, {}).href, 'https://civitai.com/api/download/models/7')
})

const has = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0

function certificate(): { readonly key: string; readonly cert: string; readonly file: string } {
  const directory = temporaryDirectory()
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ...['-keyout', `${directory}/key.pem`, '-out', `${directory}/cert.pem`],
  ])
  assert.is(made.status, 0, String(made.stderr))
  const read = (name: string) => readFileSync(`${directory}/${name}`, 'utf8')
  return { key: read('key.pem'), cert: read('cert.pem'), file: `${directory}/cert.pem` }
}

/** In a process of its own: what it trusts is read when it starts. */
async function runProgram(
  root: string,
  plan: Plan,
  env: Record<string, string>,
): Promise<{ code: number; text: string }> {
  writeFileSync(`${root}/plan.json`, JSON.stringify(plan))
  const { spawn } = await import('node:child_process')
  const words = ['--import', 'tsx', 'runtime/provision/main.ts', 'models', '--plan', `${root}/plan.json`]
  const child = spawn(process.execPath, words, { env: { PATH: process.env.PATH, ...env } })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (more) => (text += more))
  const [code] = await once(child, 'close')
  return { code, text }
}

test('TLS is checked, and is as good as plain: parts, cuts and all', async () => {
  if (!has('openssl')) return console.log('  skipped: there is no openssl')
  const root = temporaryDirectory()
  const { file, ...tls } = certificate()
  const content = fileOf(40_000_000)
  const cutAfter = (count: number) => (count === 3 ? 1_234_567 : null)
  const server = await startModelServer({ '/a.ckpt': { content, cutAfter } }, tls)
  try {
    const url = `https://localhost:${server.port}/a.ckpt`
    const plan = modelPlan(root, [{ url, sha256: sha256(content) }], { downloads: { retries: 1 } })
    const strict = await runProgram(root, plan, {})
    assert.is(strict.code, 1)
    assert.match(strict.text, /self-signed certificate/)
    const trusting = await runProgram(root, plan, { NODE_EXTRA_CA_CERTS: file })
    assert.is(trusting.code, 0, trusting.text)
    assert.ok(readFileSync(`${folderOf(root)}/a.ckpt`).equals(content))
  } finally {
    await server.close()
  }
})

test('a proxy of the environment is used for other hosts, with CONNECT', async ({ hub }) => {
  const root = temporaryDirectory()
  const content = fileOf(100_000)
  hub.files.set('/a.pth', { content })
  const asked: string[] = []
  const sockets = new Set<Socket>()
  const proxy = createServer((client) => {
    sockets.add(client)
    client.on('error', () => {})
    client.once('data', (bytes) => {
      asked.push(String(bytes).split('\r\n')[0]!)
      const upstream = connect({ host: '127.0.0.1', port: hub.port })
      upstream.on('error', () => client.destroy())
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      client.pipe(upstream).pipe(client)
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  try {
    const plan = modelPlan(root, [{ url: 'http://models.test/a.pth', sha256: sha256(content) }])
    const { port } = proxy.address() as AddressInfo
    const { code, text } = await provision(plan, { http_proxy: `http://127.0.0.1:${port}` })
    assert.is(code, 0, text)
    assert.ok(asked.length >= 1 && asked.every((line) => line === 'CONNECT models.test:80 HTTP/1.1'))
  } finally {
    for (const socket of sockets) socket.destroy()
    proxy.close()
  }
})

test('a bucket is fetched in parts through rclone, with the credentials of the machine', async ({ store }) => {
  if (!has('rclone')) return console.log('  skipped: there is no rclone')
  const root = temporaryDirectory()
  const content = fileOf(40_000_000)
  store.files.set('/bucket/models/a.ckpt', { content, lastModified: 'Wed, 21 Oct 2015 07:28:00 GMT', etag: '"abc"' })
  const source = { kind: 'bucket', provider: 's3', bucket: 'bucket', path: 'models/a.ckpt' } as const
  const credentials = { AWS_ACCESS_KEY_ID: 'id-of-mine', AWS_SECRET_ACCESS_KEY_ENCODED: 'a_SLASH_b' }
  const options = { credentials, downloads: { retries: 0 } }
  const plan = modelPlan(root, [{ url: 's3://bucket/models/a.ckpt', source, sha256: sha256(content) }], options)
  const environment = { ...credentials, AWS_ENDPOINT_URL: store.url(''), PATH: process.env.PATH ?? '' }
  const { code, text } = await provision(plan, environment)
  assert.is(code, 0, `${text} ${JSON.stringify(store.requests)}`)
  assert.ok(readFileSync(`${folderOf(root)}/a.ckpt`).equals(content))
  const signed = store.requests.map(({ headers }) => headers.authorization ?? '')
  assert.ok(signed.every((header) => header.includes('Credential=id-of-mine/')))
  assert.ok(store.requests.filter(({ headers }) => headers.range !== undefined).length >= 2, 'in parts')

  const gone = { ...source, path: 'gone.ckpt' }
  const missing = await provision(
    modelPlan(root, [{ url: 's3://bucket/gone.ckpt', source: gone }], options),
    environment,
  )
  assert.is(missing.code, 1)
  assert.match(missing.text, /there is no such file/)
})

test('a bucket without rclone is told the package that it lacks', async () => {
  const root = temporaryDirectory()
  mkdirSync(`${root}/empty`)
  const source = { kind: 'bucket', provider: 'gs', bucket: 'b', path: 'a.pth' } as const
  const { code, text } = await provision(modelPlan(root, [{ url: 'gs://b/a.pth', source }]), { PATH: `${root}/empty` })
  assert.is(code, 1)
  assert.match(text, /rclone is not installed \(package "rclone"\)/)
  assert.not(existsSync(`${folderOf(root)}/a.pth`))
})

test.run()
