/** The API of the sidecar as clients meet it: behind a real nginx that has credentials of its own. */
import { execFileSync } from 'node:child_process'
import { request } from 'node:http'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { bearerMapLine } from '../../generator/emit/quote/nginx.ts'
import { type HttpMachine, logLine, memoryJournal, startHttpMachine, TOKEN } from '../runtime/http-machine.ts'
import { type Answer, type NginxMachine, type Question, send, startNginx, until } from './nginx-machine.ts'

interface Context {
  nginx: NginxMachine
  api: HttpMachine
}

const test = suite<Context>('the API through nginx')
const PROXY_TOKEN = 'token-of-the-proxy'
const HTPASSWD = `sd:${execFileSync('openssl', ['passwd', '-apr1', 'password'], { encoding: 'utf8' })}`
const BASIC = { Authorization: `Basic ${Buffer.from('sd:password').toString('base64')}` }
const BEARER = { Authorization: `Bearer ${PROXY_TOKEN}` }

test.before(async (context) => {
  context.nginx = await startNginx({}, { htpasswd: HTPASSWD, bearerMap: bearerMapLine(PROXY_TOKEN) })
  const { plan } = context.nginx
  context.api = await startHttpMachine({
    plan,
    port: plan.sidecar.port,
    lines: [logLine('comfyui-gpu0', 'hello')],
    streamTimes: { heartbeatMs: 200, stallMs: 30_000 },
  })
})

test.after(async ({ nginx, api }) => {
  await Promise.all([api.close(), nginx.stop()])
  assert.equal(api.errors, [])
})

const json = ({ body }: Answer) => JSON.parse(body)

test('the credential of the proxy and the token of the sidecar go together', async ({ nginx, api }) => {
  const restart = (headers: Record<string, string>) =>
    send(nginx.port, { method: 'POST', path: '/api/services/comfyui-gpu0/restart', headers, body: '' })
  for (const credential of [BASIC, BEARER]) {
    assert.equal((await restart(credential)).status, 401)
    const wrong = await restart({ ...credential, 'X-Machine-Token': 'wrong' })
    assert.equal([wrong.status, json(wrong).error.code], [401, 'UNAUTHORIZED'])
    const right = await restart({ ...credential, 'X-Machine-Token': TOKEN })
    assert.equal([right.status, json(right).action], [202, 'restart'])
  }
  const alone = await restart({ 'X-Machine-Token': TOKEN })
  assert.equal([alone.status, json(alone).error.code], [401, 'unauthorized'], 'refused by nginx')
  assert.match(api.orders.at(-1) ?? '', /^restart comfyui-gpu0 by http 127\.0\.0\.1$/)
})

test('one token opens both where they are the same', async ({ nginx, api }) => {
  const same = await startHttpMachine({
    plan: { ...nginx.plan, sidecar: { ...nginx.plan.sidecar, port: 0 } },
    token: PROXY_TOKEN,
  })
  const { status } = await same.ask('/logs', { headers: { authorization: BEARER.Authorization } })
  await same.close()
  assert.is(status, 200)
  assert.is((await api.ask('/logs', { headers: { authorization: BEARER.Authorization } })).status, 401)
})

test('every route answers below /api/ whatever name the machine has outside', async ({ nginx }) => {
  const ask = (path: string, more: Partial<Question> = {}) =>
    send(nginx.port, {
      path: `/api${path}`,
      headers: { ...BASIC, Host: 'machine.example.com', 'X-Machine-Token': TOKEN },
      ...more,
    })
  for (const path of [
    '/status',
    '/services',
    '/services/comfyui-gpu0',
    '/version',
    '/metrics',
    '/logs',
    '/openapi.json',
  ]) {
    assert.is((await ask(path)).status, 200, path)
  }
  assert.is((await ask('/health')).status, 503)
  assert.is((await ask('/nope')).status, 404)
  assert.is((await ask('/services/..%2f..%2fetc')).status, 404)
  assert.is((await ask('/logs?lnies=1')).status, 400)
  assert.equal(json(await ask('/logs?lines=1&grep=%C3%A9%20%26')).limit, 1)
  assert.is((await ask('/status', { method: 'HEAD' })).body, '')
  assert.match(String((await ask('/health', { method: 'DELETE' })).headers.allow), /GET, HEAD, OPTIONS/)
  const large = await ask('/services/comfyui-gpu0/restart', {
    method: 'POST',
    headers: { ...BASIC, 'X-Machine-Token': TOKEN, 'Content-Type': 'application/json' },
    body: 'x'.repeat(200_000),
  })
  assert.equal([large.status, json(large).error.code], [413, 'BODY_TOO_LARGE'])
})

test('pages of the machine\u2019s own name may ask for changes, others may not', async ({ nginx }) => {
  const from = (origin: string) =>
    send(nginx.port, {
      method: 'POST',
      path: '/api/services/comfyui-gpu0/restart',
      headers: { ...BASIC, Host: 'machine.example.com', Origin: origin, 'X-Machine-Token': TOKEN },
      body: '',
    }).then(({ status }) => status)
  assert.equal([await from('https://machine.example.com'), await from('https://evil.example.com')], [202, 403])
})

test('who asks is the client of the proxy, whatever he says he is', async ({ nginx, api }) => {
  await send(nginx.port, {
    method: 'POST',
    path: '/api/services/comfyui-gpu1/stop',
    headers: { ...BASIC, 'X-Machine-Token': TOKEN, 'X-Real-IP': '1.2.3.4' },
    from: '127.0.0.9',
    body: '',
  })
  assert.is(api.orders.at(-1), 'stop comfyui-gpu1 by http 127.0.0.9')
})

test('events pass at once, and an end on one side is an end on the other', async ({ nginx, api }) => {
  const { journal, followers } = memoryJournal()
  api.parts.journal = journal
  const chunks: string[] = []
  const outgoing = request({
    host: '127.0.0.1',
    port: nginx.port,
    path: '/api/events?since=0',
    headers: BASIC,
    agent: false,
  })
  outgoing.on('error', () => {})
  outgoing.on('response', (incoming) => {
    incoming.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk))
    incoming.on('error', () => {})
  })
  outgoing.end()
  await until(() => followers() === 1)
  const sentMs = performance.now()
  journal.append({ type: 'machine.ready' })
  await until(() => chunks.join('').includes('machine.ready'))
  assert.ok(performance.now() - sentMs < 2000)
  await until(() => chunks.join('').includes(': still here'))
  outgoing.destroy()
  await until(() => followers() === 0)
})

test.run()
