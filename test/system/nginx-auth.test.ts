import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { request as requestTls } from 'node:https'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket, WebSocketServer } from 'ws'
import { bearerMapLine } from '../../generator/emit/quote/nginx.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { freePortRange, type NginxMachine, send, startNginx, startRecorder } from './nginx-machine.ts'

const TOKEN = 'Secret.token_~+/x=='
const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
const HTPASSWD = `sd:${execFileSync('openssl', ['passwd', '-apr1', 'pass:word "$1"'], { encoding: 'utf8' })}`
const GOOD = { basic: basic('sd', 'pass:word "$1"'), bearer: `Bearer ${TOKEN}`, lowercase: `bearer ${TOKEN}` }
const BAD = {
  none: undefined,
  'a wrong password': basic('sd', 'wrong'),
  'a wrong user': basic('root', 'pass:word "$1"'),
  'an empty password': basic('sd', ''),
  'a wrong token': 'Bearer wrong',
  'the token in other case': `Bearer ${TOKEN.toUpperCase()}`,
  'more than the token': `Bearer ${TOKEN}x`,
  'an empty token': 'Bearer ',
  'another scheme': `Token ${TOKEN}`,
}

const headersOf = (authorization: string | undefined): Record<string, string> =>
  authorization === undefined ? {} : { Authorization: authorization }

/** Every place that asks for a credential: routes, the sidecar, the index, nothing, and the per-GPU port. */
function closedDoors(machine: NginxMachine): { port: number; path: string }[] {
  const paths = ['/comfyui/0/queue', '/comfyui/queue', '/comfyui/0/health', '/api/status', '/', '/nothing']
  const gpuPort = machine.plan.proxy?.gpuPorts[0]?.port ?? 0
  return [...paths.map((path) => ({ port: machine.port, path })), { port: gpuPort, path: '/queue' }]
}

async function startUpstreams(machine: NginxMachine) {
  const ports = [machine.plan.sidecar.port, machine.portOf('comfyui-gpu0'), machine.portOf('comfyui-gpu1')]
  const recorders = await Promise.all(ports.map((port) => startRecorder(port)))
  return {
    received: () => recorders.flatMap(({ received }) => received),
    sidecar: recorders[0]?.received ?? [],
    close: () => Promise.all(recorders.map((recorder) => recorder.close())),
  }
}

test('every good credential opens every door, and no service but the sidecar sees it', async () => {
  const machine = await startNginx({}, { htpasswd: HTPASSWD, bearerMap: bearerMapLine(TOKEN) })
  const upstreams = await startUpstreams(machine)
  for (const authorization of Object.values(GOOD)) {
    for (const { port, path } of closedDoors(machine)) {
      const { status } = await send(port, { path, headers: headersOf(authorization) })
      assert.is(status, path === '/nothing' ? 404 : 200, `${authorization} at ${port}${path}`)
    }
  }
  const leaked = upstreams.received().filter(({ url, headers }) => headers.authorization && url !== '/status')
  const told = upstreams.sidecar.filter(({ url }) => url === '/status').map(({ headers }) => headers.authorization)
  await Promise.all([upstreams.close(), machine.stop()])
  assert.equal(leaked, [])
  assert.equal(told, Object.values(GOOD))
})

test('every bad credential is refused at every door with 401, in JSON for programs', async () => {
  const machine = await startNginx({}, { htpasswd: HTPASSWD, bearerMap: bearerMapLine(TOKEN) })
  const upstreams = await startUpstreams(machine)
  for (const [name, authorization] of Object.entries(BAD)) {
    for (const { port, path } of closedDoors(machine)) {
      const { status, headers, body } = await send(port, { path, headers: headersOf(authorization) })
      assert.is(status, 401, `${name} at ${port}${path}`)
      assert.match(headers['www-authenticate'] ?? '', /^Basic realm=/)
      assert.is(JSON.parse(body).error.code, 'unauthorized')
    }
  }
  const page = await send(machine.port, { path: '/', headers: { Accept: 'text/html' } })
  const asked = upstreams.received().length
  await Promise.all([upstreams.close(), machine.stop()])
  assert.equal([page.status, /<h1>401<\/h1>/.test(page.body)], [401, true])
  assert.is(asked, 0)
})

test('without any credential everything is closed but the two health paths', async () => {
  const machine = await startNginx()
  const upstreams = await startUpstreams(machine)
  const seen: unknown[] = []
  for (const authorization of [...Object.values(GOOD), ...Object.values(BAD)]) {
    for (const { port, path } of closedDoors(machine)) {
      seen.push((await send(port, { path, headers: headersOf(authorization) })).status)
    }
  }
  const health = await send(machine.port, { path: '/health' })
  const alive = await send(machine.port, { path: '/-/proxy' })
  await Promise.all([upstreams.close(), machine.stop()])
  assert.equal([...new Set(seen)], [401])
  assert.equal([health.status, alive.status], [200, 200])
})

test('without the password file everything is closed to it, and a token still opens', async () => {
  const machine = await startNginx({}, { bearerMap: bearerMapLine(TOKEN) })
  const upstreams = await startUpstreams(machine)
  rmSync(machine.plan.proxy?.credentialFiles.htpasswd ?? '')
  const ask = (authorization?: string) =>
    send(machine.port, { path: '/comfyui/0/queue', headers: headersOf(authorization) })
  const [closed, open] = [await ask(GOOD.basic), await ask(GOOD.bearer)]
  await Promise.all([upstreams.close(), machine.stop()])
  assert.equal([closed.status, JSON.parse(closed.body).error.code, open.status], [403, 'forbidden', 200])
})

test('where auth is off, a service gets the credential that is meant for it', async () => {
  const auth = { mode: 'off', user: 'sd', passwordSecret: null, tokenSecret: null } as const
  const machine = await startNginx({ proxy: { auth } })
  const upstreams = await startUpstreams(machine)
  const { status } = await send(machine.port, { path: '/comfyui/0/', headers: { Authorization: 'Basic own' } })
  const seen = upstreams.received().map(({ headers }) => headers.authorization)
  await Promise.all([upstreams.close(), machine.stop()])
  assert.equal([status, seen], [200, ['Basic own']])
})

test('a websocket opens with either credential and with no other', async () => {
  const machine = await startNginx({}, { htpasswd: HTPASSWD, bearerMap: bearerMapLine(TOKEN) })
  const server = new WebSocketServer({ host: '127.0.0.1', port: machine.portOf('comfyui-gpu0') })
  server.on('connection', (socket) => socket.send('hello'))
  const attempt = (authorization: string | undefined) =>
    new Promise<string>((resolve) => {
      const socket = new WebSocket(`ws://127.0.0.1:${machine.port}/comfyui/0/ws`, { headers: headersOf(authorization) })
      socket.on('message', (data) => {
        resolve(String(data))
        socket.terminate()
      })
      socket.on('error', (error) => resolve(error.message))
    })
  const good = await Promise.all(Object.values(GOOD).map(attempt))
  const bad = await Promise.all(Object.values(BAD).map(attempt))
  server.close()
  for (const client of server.clients) client.terminate()
  await machine.stop()
  assert.equal([...new Set(good)], ['hello'])
  assert.equal([...new Set(bad)], ['Unexpected server response: 401'])
})

test('TLS serves the same routes beside the plain port, in its modern versions only', async () => {
  const directory = temporaryDirectory()
  const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'a $chain.pem')]
  const subject = [
    '-subj',
    '/CN=localhost',
    '-days',
    '2',
    '-nodes',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
  ]
  execFileSync('openssl', ['req', '-x509', ...subject, '-keyout', key, '-out', certificate], { stdio: 'ignore' })
  const port = await freePortRange(1)
  const machine = await startNginx({ proxy: { tls: { port, certificate, key } } }, { htpasswd: HTPASSWD })
  const upstreams = await startUpstreams(machine)
  const status = await new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/comfyui/0/queue', rejectUnauthorized: false, agent: false }
    requestTls({ ...options, headers: headersOf(GOOD.basic) }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
  const versions = await Promise.all(
    ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'].map((version) => handshake(port, version)),
  )
  const closed = (await send(machine.port, { path: '/comfyui/0/queue' })).status
  const proto = upstreams.received()[0]?.headers['x-forwarded-proto']
  await Promise.all([upstreams.close(), machine.stop()])
  assert.equal([status, closed, proto], [200, 401, 'https'])
  assert.equal(versions, [false, false, true, true])
})

function handshake(port: number, version: string): Promise<boolean> {
  return new Promise((resolve) => {
    const only = version as 'TLSv1.2'
    const ciphers = 'DEFAULT:@SECLEVEL=0'
    const options = { host: '127.0.0.1', port, minVersion: only, maxVersion: only, ciphers, rejectUnauthorized: false }
    const socket: TLSSocket = connect(options, () => {
      resolve(true)
      socket.destroy()
    })
    socket.on('error', () => resolve(false))
  })
}

test.run()
