import { connect } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type HttpMachine, logLine, sendRaw, startHttpMachine, testPlan, WITH_TOKEN } from './http-machine.ts'

interface Context {
  machine: HttpMachine
}

const test = suite<Context>('requests to the API')

test.before(async (context) => {
  context.machine = await startHttpMachine({
    lines: [logLine('comfyui-gpu0', 'a'), logLine('nginx', 'b', { level: 'error' })],
  })
})

test.after(async ({ machine }) => {
  await machine.close()
  assert.equal(machine.errors, [])
})

const codeOf = (body: { error?: { code: string } } | null) => body?.error?.code

test('a wrong parameter is refused with what is right', async ({ machine }) => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['/health?a=1', /cannot use parameter "a": this route takes none/],
    ['/logs?lnies=5', /cannot use parameter "lnies"; did you mean "lines"\?/],
    ['/logs?lines=0', /cannot use "0" as "lines": it must be a whole number from 1 to 10000/],
    ['/logs?lines=1e3', /as "lines"/],
    ['/logs?lines=10001', /as "lines"/],
    ['/logs?lines=1&lines=2', /cannot use "lines" twice/],
    ['/logs?level=loud', /cannot use "loud" as "level": it must be "debug" or "info" or "warn" or "error"/],
    ['/logs?since=yesterday', /as "since": it must be an ISO 8601 time with its zone .* or how long ago/],
    ['/logs?follow=constructor', /as "follow"/],
    ['/logs?__proto__=1', /cannot use parameter "__proto__"/],
    ['/logs?before=x', /as "before": it must be what an answer gave as "older" or "newer"/],
    [`/logs?grep=${'x'.repeat(201)}`, /as "grep": it must be a text of 1 to 200 characters/],
    ['/logs?grep=', /as "grep"/],
    ['/events?since=-1', /as "since"/],
    ['/pm2/logs', /Service name required/],
  ]
  for (const [path, message] of cases) {
    const { status, body } = await machine.ask(path, { headers: WITH_TOKEN })
    assert.equal([path, status, codeOf(body)], [path, 400, 'BAD_PARAMETER'])
    assert.match(body.error.message, message)
  }
})

test('good parameters choose lines', async ({ machine }) => {
  const ask = async (query: string) => (await machine.ask(`/logs?${query}`, { headers: WITH_TOKEN })).body
  assert.equal([(await ask('lines=1')).count, (await ask('lines=1')).limit], [1, 1])
  assert.is((await ask('limit=7')).limit, 7)
  assert.equal((await ask('service=gpu0,nginx')).services, ['comfyui-gpu0', 'redis-worker-gpu0', 'nginx'])
  assert.is((await ask('gpu=0')).logs[0].service, 'comfyui-gpu0')
  assert.is((await ask('level=error&since=15m&follow=0')).logs[0].message, 'b')
  assert.is((await ask('since=2026-07-01T12:00:00%2B02:00')).count, 2)
})

test('names that do not exist are answered with the nearest one, bundles included', async ({ machine }) => {
  const message = async (path: string, method = 'GET') => {
    const { status, body } = await machine.ask(path, { method, headers: WITH_TOKEN })
    assert.equal([status, codeOf(body)], [404, 'NOT_FOUND'])
    return body.error.message
  }
  assert.is(await message('/services/comfyui-gpu9'), 'there is no service "comfyui-gpu9"; did you mean "comfyui-gpu0"?')
  assert.is(await message('/services/gpu00/restart', 'POST'), 'there is no service "gpu00"; did you mean "gpu0"?')
  assert.match(await message('/services/gpu0'), /"gpu0" is a bundle, ask for one of its services: "comfyui-gpu0"/)
  assert.is(await message('/helth'), 'there is no route "/helth"; did you mean "/health"?')
  for (const path of ['/services/%00', '/services/..%2f..%2fetc', '/services/%E0%A4%A', '/services/__proto__', '/..']) {
    await message(path)
  }
  await message('/services/a/b/c')
  await message('//health')
  assert.is((await message(`/services/${'x'.repeat(5000)}`)).length < 200, true)
  await message('/logs?service=nope')
  await message('/comfyui/logs?gpu=7')
})

test('HEAD has the head of GET and no body', async ({ machine }) => {
  for (const path of [
    '/health',
    '/status',
    '/logs',
    '/logs?follow=1',
    '/events',
    '/metrics',
    '/openapi.json',
    '/nope',
  ]) {
    const get = path.includes('follow') || path === '/events' ? null : await machine.ask(path, { headers: WITH_TOKEN })
    const head = await machine.ask(path, { method: 'HEAD', headers: WITH_TOKEN })
    assert.is(head.text, '')
    if (get === null) assert.is(head.status, 200)
    else assert.equal([head.status, head.headers['content-type']], [get.status, get.headers['content-type']])
  }
})

test('bodies are JSON of at most 64 KiB', async ({ machine }) => {
  const post = (body: string | undefined, type?: string, more: Record<string, string> = {}) =>
    machine.ask('/services/nginx/restart', {
      method: 'POST',
      headers: { ...WITH_TOKEN, ...(type === undefined ? {} : { 'content-type': type }), ...more },
      ...(body === undefined ? {} : { body }),
    })
  const statuses = async (...answers: ReturnType<typeof post>[]) =>
    (await Promise.all(answers)).map(({ status }) => status)
  assert.equal(await statuses(post(undefined), post('{}', 'application/json'), post('', 'text/plain')), [202, 202, 202])
  assert.equal(await statuses(post('{}', 'Application/JSON; charset=utf-8')), [202])
  assert.equal(
    await statuses(post('{}'), post('{}', 'text/plain'), post('a=1', 'multipart/form-data')),
    [415, 415, 415],
  )
  const json = 'application/json'
  const bad = ['{', '[]', 'null', '1', '{"a":1}', '{"reason":1}', `{"reason":"${'x'.repeat(201)}"}`, '"\ud800']
  assert.equal([...new Set(await statuses(...bad.map((body) => post(body, json))))], [400])
  assert.equal(await statuses(post(JSON.stringify({ reason: 'x' }).padEnd(64 * 1024), json)), [202])
  const large = await post('x'.repeat(64 * 1024 + 1), json)
  assert.equal([large.status, codeOf(large.body)], [413, 'BODY_TOO_LARGE'])
  const chunked = await post('x'.repeat(10_000_000), json, { 'transfer-encoding': 'chunked' })
  assert.is(chunked.status, 413)
  const get = await machine.ask('/health', { headers: { 'content-length': '70000' }, body: 'x'.repeat(70_000) })
  assert.is(get.status, 413)
  const invalidUtf8 = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])
  const broken = await machine.ask('/services/nginx/restart', {
    method: 'POST',
    headers: { ...WITH_TOKEN, 'content-type': json },
    body: invalidUtf8,
  })
  assert.is(broken.status, 400)
})

test('who asks and why goes into the order', async ({ machine }) => {
  machine.orders.length = 0
  const order = (headers: Record<string, string>) =>
    machine.ask('/services/gpu1/stop', {
      method: 'POST',
      headers: { ...WITH_TOKEN, 'content-type': 'application/json', ...headers },
      body: '{"reason":"it is hot"}',
    })
  const { body } = await order({ 'x-real-ip': '10.0.0.7' })
  await order({ 'x-real-ip': 'root; reboot' })
  assert.equal([body.service, body.action], ['gpu1', 'stop'])
  assert.equal(machine.orders, ['stop gpu1 by http 10.0.0.7: it is hot', 'stop gpu1 by http 127.0.0.1: it is hot'])
})

test('a large body is refused before it is sent, where the client asks first', async ({ machine }) => {
  const head = (length: number) =>
    `POST /services/nginx/start HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${WITH_TOKEN.authorization}\r\n` +
    `Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`
  assert.match(await sendRaw(machine.port, head(10_000_000)), /^HTTP\/1\.1 413 /)
  assert.match(await sendRaw(machine.port, `${head(2)}{}`), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 202 /)
})

test('targets with scheme and host work, others are refused', async ({ machine }) => {
  const request = (target: string, method = 'GET') =>
    sendRaw(machine.port, `${method} ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  assert.match(await request('http://machine.example/version'), /^HTTP\/1\.1 200 /)
  assert.match(await request('*', 'OPTIONS'), /^HTTP\/1\.1 200 /)
  assert.match(await request('*'), /^HTTP\/1\.1 400 /)
  assert.match(await request('version'), /^HTTP\/1\.1 40[04] /)
  assert.match(await request('ftp://a/version'), /^HTTP\/1\.1 400 /)
})

test('requests that follow each other on a connection are answered in their order', async ({ machine }) => {
  const paths = ['/version', '/nope', '/services/nginx', '/ready', '/services/nginx/health']
  const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join('')
  const last = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
  const text = await sendRaw(machine.port, requests + last)
  assert.equal(
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]),
    ['200', '404', '200', '503', '503', '200'],
  )
})

test('what is no HTTP is answered as such and cut', async ({ machine }) => {
  const cases: readonly (readonly [string, string])[] = [
    ['nonsense\r\n\r\n', '400'],
    ['GET / HTTP/9.9\r\n\r\n', '400'],
    ['GET /health HTTP/1.1\r\n\r\n', '400'],
    [`GET /health HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, '431'],
    [`GET /${'x'.repeat(70_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, '431'],
    ['POST /services/nginx/stop HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', '400'],
    ['GET /health HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n', '400'],
  ]
  for (const [request, status] of cases) {
    const text = await sendRaw(machine.port, request)
    assert.is(text.slice(9, 12), status, request.slice(0, 60))
  }
})

test('slow and silent clients are cut', async () => {
  const machine = await startHttpMachine({ limits: { headersMs: 300, requestMs: 600, keepAliveMs: 200 } })
  const startedMs = Date.now()
  const [silent, half, body, idle] = await Promise.all([
    sendRaw(machine.port, ''),
    sendRaw(machine.port, 'GET /health HTTP/1.1\r\nHos'),
    sendRaw(
      machine.port,
      `POST /services/nginx/stop HTTP/1.1\r\nHost: a\r\nAuthorization: ${WITH_TOKEN.authorization}\r\nContent-Length: 9\r\n\r\n{`,
    ),
    sendRaw(machine.port, 'GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  ])
  await machine.close()
  assert.ok(Date.now() - startedMs < 5000)
  assert.match(half, /^HTTP\/1\.1 408 .*"code":"REQUEST_TIMEOUT"/s)
  assert.match(body, /^HTTP\/1\.1 408 /)
  assert.ok(silent === '' || silent.startsWith('HTTP/1.1 408 '))
  assert.match(idle, /^HTTP\/1\.1 200 .*keep-alive/is)
})

test('connections are limited', async () => {
  const machine = await startHttpMachine({ limits: { maxConnections: 3 } })
  const sockets = Array.from({ length: 3 }, () => connect({ host: '127.0.0.1', port: machine.port }))
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
  assert.is(await sendRaw(machine.port, 'GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n'), '')
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.is((await machine.ask('/version')).status, 200)
  await machine.close()
})

test('a name that a page could have led here is not answered, but for health and with the token', async ({
  machine,
}) => {
  const ask = (path: string, host: string, headers: Record<string, string> = {}) =>
    machine.ask(path, { headers: { host, ...headers } }).then(({ status }) => status)
  for (const host of [
    'localhost',
    'LOCALHOST:9090',
    '127.0.0.1:1',
    '[::1]:9090',
    '10.1.2.3',
    'machine',
    'a.localhost',
  ]) {
    assert.is(await ask('/services', host), 200, host)
  }
  for (const host of ['evil.example.com', 'evil.example.com:9090', '127.0.0.1.nip.io', 'localhost.evil.com', '1.2.3']) {
    assert.is(await ask('/services', host), 421, host)
    assert.is(await ask('/version', host), 200, host)
    assert.is(await ask('/ready', host), 503, host)
    assert.is(await ask('/services', host, WITH_TOKEN), 200, host)
  }
})

test('an API that listens to the network answers to any name', async () => {
  const plan = testPlan({
    sidecar: { ...testPlan().sidecar, listen: '0.0.0.0', port: 0 },
  })
  const machine = await startHttpMachine({ plan })
  const { status } = await machine.ask('/services', { headers: { host: 'machine.example.com' } })
  await machine.close()
  assert.is(status, 200)
})

const withOrigins = (allowedOrigins: string[]) =>
  testPlan({ sidecar: { ...testPlan().sidecar, port: 0, allowedOrigins } })

test('pages of other origins change nothing, even with the token', async ({ machine }) => {
  const post = (headers: Record<string, string>) =>
    machine
      .ask('/services/nginx/restart', { method: 'POST', headers: { ...WITH_TOKEN, ...headers } })
      .then(({ status }) => status)
  const host = 'localhost:9090'
  assert.is(await post({ host, origin: 'http://localhost:9090' }), 202)
  assert.is(await post({ host, origin: 'https://machine.example', 'x-forwarded-host': 'machine.example' }), 202)
  assert.is(await post({ host, origin: 'https://evil.example' }), 403)
  assert.is(await post({ host, origin: 'null' }), 403)
  assert.is(await post({ host, 'sec-fetch-site': 'cross-site' }), 403)
  assert.is(await post({ host, 'sec-fetch-site': 'same-origin' }), 202)
  assert.is(await post({ host, 'sec-fetch-site': 'none', 'content-type': 'text/plain' }), 415)
})

test('pages of origins that the machine file names may read and change', async () => {
  const origin = 'https://monitor.example.com'
  const machine = await startHttpMachine({ plan: withOrigins([origin]) })
  const preflight = await machine.ask('/services/nginx/restart', {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST' },
  })
  const read = await machine.ask('/status', { headers: { origin } })
  const change = await machine.ask('/services/nginx/restart', { method: 'POST', headers: { origin, ...WITH_TOKEN } })
  const other = await machine.ask('/status', { headers: { origin: 'https://evil.example' } })
  const large = await machine.ask('/services/nginx/restart', {
    method: 'POST',
    headers: { origin, ...WITH_TOKEN, 'content-type': 'application/json' },
    body: 'x'.repeat(70_000),
  })
  await machine.close()
  assert.is(preflight.headers['access-control-allow-origin'], origin)
  assert.match(preflight.headers['access-control-allow-headers'] ?? '', /x-machine-token/)
  assert.equal([read.headers['access-control-allow-origin'], read.headers.vary], [origin, 'origin'])
  assert.equal([change.status, change.headers['access-control-allow-origin']], [202, origin])
  assert.equal([other.headers['access-control-allow-origin'], other.headers.vary], [undefined, 'origin'])
  assert.equal([large.status, large.headers['access-control-allow-origin']], [413, origin])
})

test('without such origins no header tells a browser to let a page read', async ({ machine }) => {
  const { headers } = await machine.ask('/status', { headers: { origin: 'https://evil.example' } })
  assert.is(headers['access-control-allow-origin'], undefined)
  assert.equal([headers['cache-control'], headers['x-content-type-options']], ['no-store', 'nosniff'])
})

test('waiting for readiness ends with it, or with why not', async () => {
  const waits = [
    [{ ok: true, tookMs: 41.7 }, 200, undefined],
    [{ ok: false, code: 'TIMEOUT', message: 'late' }, 504, 'TIMEOUT'],
    [{ ok: false, code: 'FAILED', message: 'dead' }, 409, 'FAILED'],
    [{ ok: false, code: 'STOPPED', message: 'stopped' }, 409, 'STOPPED'],
  ] as const
  for (const [waited, status, code] of waits) {
    const machine = await startHttpMachine({ waited })
    const path = '/services/comfyui/restart?wait=ready&timeoutMs=1000'
    const answer = await machine.ask(path, { method: 'POST', headers: WITH_TOKEN })
    await machine.close()
    assert.equal([answer.status, codeOf(answer.body)], [status, code])
    if (waited.ok) assert.equal([answer.body.ready, answer.body.tookMs], [true, 42])
  }
})

test('waiting cannot be asked for half', async ({ machine }) => {
  const post = (path: string) => machine.ask(path, { method: 'POST', headers: WITH_TOKEN }).then(({ status }) => status)
  assert.is(await post('/services/nginx/restart?timeoutMs=5'), 400)
  assert.is(await post('/services/nginx/restart?wait=done'), 400)
  assert.is(await post('/services/nginx/stop?wait=ready'), 400)
})

test('a restart of the machine starts everything anew but the sidecar, nginx after the answer', async ({ machine }) => {
  machine.orders.length = 0
  const { status, body } = await machine.ask('/restart/machine', { method: 'POST', headers: WITH_TOKEN })
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal([status, body.message], [200, 'Machine restart initiated'])
  assert.is(machine.orders.length, 6)
  assert.is(machine.orders.at(-1), 'restart nginx by http 127.0.0.1')
  assert.not(machine.orders.some((order) => order.includes('sidecar')))
})

test('the first machines\u2019 routes answer in their shapes', async ({ machine }) => {
  machine.orders.length = 0
  const list = (await machine.ask('/pm2/list')).body
  assert.equal(Object.keys(list[0]), ['name', 'status', 'pid', 'cpu', 'memory', 'uptime', 'restarts'])
  const restarted = await machine.ask('/restart/service?service=comfyui-gpu0', { method: 'POST', headers: WITH_TOKEN })
  assert.is(restarted.status, 200)
  assert.type(restarted.body.message, 'string')
  for (const method of ['GET', 'POST']) {
    const { status, body } = await machine.ask('/refresh-status', { method })
    assert.equal([status, Object.keys(body)], [200, ['message', 'machine_id', 'timestamp']])
  }
  assert.equal(machine.orders, ['restart comfyui-gpu0 by http 127.0.0.1', 'publish'])
  const text = await machine.ask('/pm2/logs?service=comfyui-gpu0&lines=5', { headers: WITH_TOKEN })
  assert.is(text.text, '2026-07-01T12:00:00.000Z a\n')
  assert.match(text.headers['content-type'] ?? '', /^text\/plain/)
  const comfyui = await machine.ask('/comfyui/logs?gpu=0&type=server&lines=1000', { headers: WITH_TOKEN })
  assert.is(comfyui.text, '2026-07-01T12:00:00.000Z a\n')
  assert.is((await machine.ask('/comfyui/logs?type=error', { headers: WITH_TOKEN })).text, '')
  assert.equal((await machine.ask('/services/nginx/logs?limit=3', { headers: WITH_TOKEN })).body.limit, 3)
})

test.run()
