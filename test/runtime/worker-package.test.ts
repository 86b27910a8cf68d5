import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { runTask } from '../../runtime/provision/framework/run-task.ts'
import { type PackageOrder, workerPackageTask } from '../../runtime/provision/worker-package/worker-package-task.ts'
import type { Plan, PlannedWorkerPackage } from '../../schema/plan.ts'
import { fileOf, type ModelServer, type ServedFile, startModelServer } from '../fixtures/model-server.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { tarballOf, workerPackage } from '../fixtures/tar-archive.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

let server: ModelServer
test.before(async () => {
  server = await startModelServer()
})
test.after(async () => server.close())

const root = () => temporaryDirectory()
const PATH = '/worker.tar.gz'

function planFor(at: string, over: Partial<PlannedWorkerPackage> = {}): Plan {
  const plan = planFixture({ root: at, types: [] })
  const workerPackage: PlannedWorkerPackage = {
    url: server.url(PATH),
    localPath: null,
    sha256: null,
    directory: `${at}/workspace/worker`,
    entryName: 'redis-direct-worker.js',
    entryLink: '.machinegen-entry',
    ...over,
  }
  return { ...plan, provisioning: { ...plan.provisioning, workerPackage } }
}

async function run(plan: Plan, order: PackageOrder = 'provision', dryRun = false) {
  let text = ''
  const stdout = { write: (more: string) => (text += more) }
  const request = { task: 'worker-package', plan, environment: {}, dryRun, json: true, stdout }
  const code = await runTask(request, workerPackageTask(order))
  return { code, text: text.replaceAll('\\"', '"') }
}

function serve(content: Buffer, etag: string): void {
  server.files.set(PATH, { content, etag: `"${etag}"` })
}

const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex')
const workerOf = (at: string) => join(at, 'workspace/worker')
const versionsOf = (at: string) => readdirSync(join(workerOf(at), 'versions')).sort()
const current = (at: string) => readlinkSync(join(workerOf(at), 'current'))

function says(at: string): string {
  const entry = join(workerOf(at), 'current/.machinegen-entry')
  return spawnSync(process.execPath, [entry], { encoding: 'utf8', cwd: join(workerOf(at), 'current') }).stdout.trim()
}

test('one download is unpacked, checked, switched to, run by one name, and not fetched again', async () => {
  const at = root()
  const archive = workerPackage('v1.2.3')
  serve(archive, 'one')
  const plan = planFor(at, { sha256: sha256(archive) })
  assert.match((await run(plan, 'provision', true)).text, 'fetch http://')
  assert.not(existsSync(workerOf(at)))
  const first = await run(plan)
  assert.is(first.code, 0, first.text)
  assert.is(says(at), 'worker v1.2.3')
  assert.is(current(at), `versions/v1.2.3-${sha256(archive).slice(0, 12)}`)
  assert.equal(readdirSync(workerOf(at)).sort(), ['current', 'versions'])
  const asked = server.requests.length
  const second = await run(plan)
  assert.is(second.code, 0)
  assert.is(server.requests.length, asked)
  assert.match((await run(plan, 'provision', true)).text, 'keep "v1.2.3-')
})

test('what has another hash is refused, and leaves nothing but the version before', async () => {
  const at = root()
  const archive = workerPackage('v1')
  serve(archive, 'one')
  await run(planFor(at))
  serve(workerPackage('v2'), 'two')
  const wrong = await run(planFor(at, { sha256: 'ab'.repeat(32) }))
  assert.is(wrong.code, 1)
  assert.match(wrong.text, 'and the machine file wants abab')
  assert.is(says(at), 'worker v1')
  assert.is(versionsOf(at).length, 1)
  assert.equal(readdirSync(workerOf(at)).sort(), ['current', 'versions'])
})

test('a hostile or wrong archive is refused, and tried anew', async () => {
  const at = root()
  serve(tarballOf([{ name: '../../outside', content: 'x' }]), 'bad')
  const hostile = await run(planFor(at))
  assert.is(hostile.code, 1)
  assert.match(hostile.text, 'leads out of it')
  assert.not(existsSync(join(at, 'workspace/outside')))
  serve(tarballOf([{ name: 'README.md', content: 'nothing' }]), 'empty')
  assert.match((await run(planFor(at))).text, 'it has no "redis-direct-worker.js"')
  assert.not(existsSync(join(workerOf(at), 'current')))
  serve(workerPackage('v1'), 'one')
  assert.is((await run(planFor(at))).code, 0)
  assert.is(versionsOf(at).length, 1)
})

test('an update takes the newest, keeps the last two, and a rollback goes to the one before and back', async () => {
  const at = root()
  const plan = planFor(at)
  for (const version of ['v1', 'v2', 'v3']) {
    serve(workerPackage(version), version)
    const updated = await run(plan, version === 'v1' ? 'provision' : 'update')
    assert.is(updated.code, 0, updated.text)
    assert.is(says(at), `worker ${version}`)
  }
  assert.equal(
    versionsOf(at).map((name) => name.slice(0, 2)),
    ['v2', 'v3'],
  )
  const sent = server.sentBytes()
  const again = await run(plan, 'update')
  assert.is(again.code, 0)
  assert.match(again.text, 'is there')
  assert.ok(server.sentBytes() - sent < 100, 'the server was asked and sent no file')
  assert.is((await run(plan, 'rollback')).code, 0)
  assert.is(says(at), 'worker v2')
  assert.is((await run(plan)).code, 0)
  assert.is(says(at), 'worker v2', 'a start does not undo it')
  assert.is((await run(plan, 'rollback')).code, 0)
  assert.is(says(at), 'worker v3')
  const pinned = await run(planFor(at, { sha256: 'ab'.repeat(32) }), 'rollback')
  assert.is(pinned.code, 1)
  assert.match(pinned.text, 'asks for one version by its sha256')
})

test('a server that is away costs nothing where a version is there, and says when to come back', async () => {
  const at = root()
  serve(workerPackage('v1'), 'one')
  assert.is((await run(planFor(at))).code, 0)
  const gone = await run(planFor(at, { url: server.url('/gone.tar.gz') }))
  assert.is(gone.code, 0)
  assert.match(gone.text, /answers 404; "v1-[0-9a-f]+" stays/)
  assert.is((await run(planFor(root(), { url: server.url('/gone.tar.gz') }))).code, 1)
  server.files.set(PATH, {
    content: workerPackage('v2'),
    intercept: (_, response, count) => {
      if (count % 2 === 0) return false
      response.writeHead(403, { 'Retry-After': '1' }).end()
      return true
    },
  })
  const busy = root()
  const patient = await run(planFor(busy))
  assert.is(patient.code, 0, patient.text)
  assert.match(patient.text, 'answers 403; tries again in')
  assert.is(says(busy), 'worker v2')
})

test('a redirect to the release is followed, and a download that was cut goes on', async () => {
  const at = root()
  const filler = { name: 'filler', content: fileOf(3_000_000) }
  const archive = tarballOf([filler, { name: 'redis-direct-worker.js', content: 'console.log("cut")' }])
  server.files.set('/releases/v9.tar.gz', {
    content: archive,
    cutAfter: (count) => (count <= 3 ? 700_000 : null),
  })
  server.files.set('/latest', {
    content: Buffer.alloc(0),
    intercept: (_, response) => {
      response.writeHead(302, { Location: '/releases/v9.tar.gz' }).end()
      return true
    },
  })
  const before = server.sentBytes()
  const cut = await run(planFor(at, { url: server.url('/latest') }))
  assert.is(cut.code, 0, cut.text)
  assert.is(says(at), 'cut')
  assert.ok(server.sentBytes() - before < archive.length * 1.2)
})

test('a package on the machine is taken as a directory or an archive, and again when it has changed', async () => {
  const at = root()
  const bundle = join(at, 'bundle')
  mkdirSync(join(bundle, 'dist'), { recursive: true })
  writeFileSync(join(bundle, 'dist/redis-direct-worker.js'), 'console.log("local one", process.cwd())')
  const plan = planFor(at, { localPath: bundle })
  const first = await run(plan)
  assert.is(first.code, 0, first.text)
  assert.match(says(at), /^local one .*\/versions\/unversioned-/)
  assert.match((await run(plan)).text, 'is there')
  writeFileSync(join(bundle, 'dist/redis-direct-worker.js'), 'console.log("local two, longer")')
  assert.is((await run(plan)).code, 0)
  assert.is(says(at), 'local two, longer')
  assert.is(versionsOf(at).length, 2)
  const archive = join(at, 'bundle.tgz')
  writeFileSync(archive, workerPackage('v7'))
  const packed = planFor(at, { localPath: archive, sha256: sha256(readFileSync(archive)) })
  assert.is((await run(packed)).code, 0)
  assert.is(says(at), 'worker v7')
  assert.match((await run(planFor(root(), { localPath: join(at, 'nothing') }))).text, 'there is no "')
})

test('TLS is checked, and a redirect away from it is not followed', async () => {
  const directory = temporaryDirectory()
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', key],
    ...['-addext', 'subjectAltName=DNS:localhost', '-out', cert],
  ])
  if (made.error !== undefined) return void process.stderr.write('skipped: there is no openssl\n')
  const secure = await startModelServer({}, { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') })
  const provision = async (at: string, path: string, trusts: boolean) => {
    const file = join(at, 'plan.json')
    const plan = planFor(at, { url: `https://localhost:${secure.port}${path}` })
    const { provisioning } = plan
    const downloads = { ...provisioning.downloads, retries: 0 }
    writeFileSync(file, JSON.stringify({ ...plan, provisioning: { ...provisioning, downloads } }))
    const words = ['--import', 'tsx', 'runtime/provision/main.ts', 'worker-package', '--plan', file]
    const env = { PATH: process.env.PATH, ...(trusts ? { NODE_EXTRA_CA_CERTS: cert } : {}) }
    const child = spawn(process.execPath, words, { env })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (more: Buffer) => (text += more.toString()))
    const [code] = (await once(child, 'close')) as [number]
    return { code, text }
  }
  try {
    secure.files.set(PATH, { content: workerPackage('v1') })
    const stranger = await provision(root(), PATH, false)
    assert.is(stranger.code, 1)
    assert.match(stranger.text, 'self-signed certificate')
    const at = root()
    assert.is((await provision(at, PATH, true)).code, 0)
    assert.is(says(at), 'worker v1')
    serve(workerPackage('v2'), 'two')
    const intercept: ServedFile['intercept'] = (_, response) => {
      response.writeHead(302, { Location: server.url(PATH) }).end()
      return true
    }
    secure.files.set('/away', { content: Buffer.alloc(0), intercept })
    const led = await provision(root(), '/away', true)
    assert.is(led.code, 1)
    assert.match(led.text, 'a redirect leads from https to http')
  } finally {
    await secure.close()
  }
})

test('what somebody has put in the place of the link is not overwritten', async () => {
  const at = root()
  mkdirSync(join(workerOf(at), 'current'), { recursive: true })
  writeFileSync(join(workerOf(at), 'current/mine'), 'mine')
  serve(workerPackage('v1'), 'one')
  const refused = await run(planFor(at))
  assert.is(refused.code, 1)
  assert.match(refused.text, 'is in the place of the link to it; move it away')
  assert.is(readFileSync(join(workerOf(at), 'current/mine'), 'utf8'), 'mine')
})

test.run()
