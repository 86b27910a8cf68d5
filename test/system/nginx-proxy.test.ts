import { readdirSync, readFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import { end, type NginxMachine, send, startComfyUi, startNginx, startRecorder } from './nginx-machine.ts'

const MEGABYTE = 1_000_000
const UPLOAD_BYTES = 300 * MEGABYTE
const PROMPT = {
  1: { class_type: 'EmptyImage', inputs: { width: 64, height: 64, batch_size: 1, color: 0 } },
  2: { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
}

/** One machine for the tests that leave nothing behind: two ComfyUIs, with nobody to check credentials. */
let machine: NginxMachine
let comfyuis: Awaited<ReturnType<typeof startComfyUi>>[]
let sidecar: Awaited<ReturnType<typeof startRecorder>>

test.before(async () => {
  const auth = { mode: 'off', user: 'sd', passwordSecret: null, tokenSecret: null } as const
  machine = await startNginx({ types: ['comfyui', 'ollama'], proxy: { auth } })
  const start = (name: string) => startComfyUi(machine, name, ['--max-upload-size', '400'])
  comfyuis = await Promise.all(['comfyui-gpu0', 'comfyui-gpu1'].map(start))
  sidecar = await startRecorder(machine.plan.sidecar.port, ({ url }) => ({ body: `sidecar ${url}` }))
})

test.after(async () => {
  await Promise.all([...comfyuis.map((comfyui) => end(comfyui)), sidecar.close(), machine.stop()])
})

/** The four doors to an instance: its route, the balanced one, its port, and past the proxy for comparison. */
function doors(): { readonly port: number; readonly prefix: string }[] {
  const gpuPort = machine.plan.proxy?.gpuPorts[0]?.port ?? 0
  return [
    { port: machine.port, prefix: '/comfyui/0' },
    { port: machine.port, prefix: '/comfyui' },
    { port: gpuPort, prefix: '' },
    { port: machine.portOf('comfyui-gpu0'), prefix: '' },
  ]
}

test('a file whose name has a slash, a space and an umlaut is saved and read back through every door', async () => {
  for (const { port, prefix } of doors()) {
    const path = `${prefix}/api/userdata/workflows%2Fa%20b%C3%BC${port}-${prefix.length}.json`
    const saved = await send(port, { method: 'POST', path: `${path}?overwrite=true&full_info=true`, body: '{"a":1}' })
    assert.is(saved.status, 200, `${port}${prefix}: ${saved.body}`)
    assert.match(saved.body, 'workflows/a bü')
    const read = await send(port, { path })
    assert.equal([read.status, read.body], [200, '{"a":1}'], `${port}${prefix}`)
  }
})

test('a query reaches the service as it was sent, and a question mark in it too', async () => {
  const ollama = await startRecorder(machine.portOf('ollama'))
  for (const path of ['/', '/a?b=%2F&c=%20d?e', '/a%3Fb?c', '/%E2%82%AC//x/', "/a;b=c,d'e(f)!*+"]) {
    await send(machine.port, { path: `/ollama${path}` })
  }
  await ollama.close()
  assert.equal(
    ollama.received.map(({ url }) => url),
    ['/', '/a?b=%2F&c=%20d?e', '/a%3Fb?c', '/%E2%82%AC//x/', "/a;b=c,d'e(f)!*+"],
  )
})

test('a path that only becomes a route by decoding or by dots is not found', async () => {
  for (const path of ['/%63omfyui/0/queue', '/x/../comfyui/0/queue', '//comfyui/0/queue', '/comfyui/1/../0/queue']) {
    const { status, body } = await send(machine.port, { path })
    assert.equal([path, status, JSON.parse(body).error.code], [path, 404, 'not_found'])
  }
})

test('a prompt runs and a websocket tells its story through every door', async () => {
  for (const { port, prefix } of doors()) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${prefix}/ws?clientId=client-${port}`)
    const types: string[] = []
    const ended = new Promise<void>((resolve, reject) => {
      socket.on('error', reject)
      socket.on('message', (text) => {
        const message = JSON.parse(String(text)) as { type: string; data: { node?: string | null } }
        types.push(message.type)
        if (message.type === 'executing' && message.data.node === null) resolve()
      })
    })
    await new Promise((resolve) => socket.on('open', resolve))
    const body = JSON.stringify({ prompt: PROMPT, client_id: `client-${port}` })
    const answer = await send(port, { method: 'POST', path: `${prefix}/prompt`, body })
    assert.is(answer.status, 200, answer.body)
    await ended
    socket.terminate()
    assert.is(types[0], 'status')
    assert.ok(types.includes('execution_start'))
  }
})

test('a browser passes the origin check of ComfyUI: it sees the Host that the browser used', async () => {
  for (const { port, prefix } of doors()) {
    const headers = { Origin: 'http://gpu.example:8080', Host: 'gpu.example:8080', 'Sec-Fetch-Site': 'same-origin' }
    assert.is((await send(port, { path: `${prefix}/queue`, headers })).status, 200)
  }
})

test('Ollama sees its own Host', async () => {
  const ollama = await startRecorder(machine.portOf('ollama'))
  await send(machine.port, { path: '/ollama/api/tags', headers: { Host: 'gpu.example' } })
  await ollama.close()
  assert.is(ollama.received[0]?.headers.host, `localhost:${machine.portOf('ollama')}`)
})

test('a service learns who asks, under which name, and the id of the request, which the client learns too', async () => {
  const ollama = await startRecorder(machine.portOf('ollama'), () => ({ headers: { 'X-Request-Id': 'own' } }))
  const headers = { Host: 'gpu.example', 'X-Forwarded-For': '192.0.2.7', 'X-Request-Id': 'forged', Upgrade: 'h2c' }
  const answer = await send(machine.port, { path: '/ollama/', headers: { ...headers, Connection: 'Upgrade' } })
  await ollama.close()
  const seen = ollama.received[0]?.headers ?? {}
  assert.match(String(seen['x-request-id']), /^[0-9a-f]{32}$/)
  assert.is(answer.headers['x-request-id'], seen['x-request-id'])
  assert.is(seen['x-forwarded-for'], '192.0.2.7, 127.0.0.1')
  assert.is(seen['x-forwarded-host'], 'gpu.example')
  assert.is(seen['x-forwarded-prefix'], '/ollama')
  assert.is(seen['x-forwarded-proto'], 'http')
  assert.is(seen.upgrade, undefined)
})

test('a redirect of a service stays below its route', async () => {
  const targets = ['/login?a=b', '/ollama/x', `http://127.0.0.1:${machine.port}/y`, '//elsewhere/z', 'https://other/w']
  const ollama = await startRecorder(machine.portOf('ollama'), ({ url }) => ({
    status: 302,
    headers: { Location: targets[Number(url.slice(1))] ?? '' },
  }))
  const seen = []
  for (const index of targets.keys()) {
    seen.push((await send(machine.port, { path: `/ollama/${index}` })).headers.location)
  }
  await ollama.close()
  assert.equal(seen, ['/ollama/login?a=b', '/ollama/x', '/ollama/y', '//elsewhere/z', 'https://other/w'])
})

test('a route without its last slash leads to the route', async () => {
  const { status, headers } = await send(machine.port, { path: '/comfyui/0?a=b' })
  assert.equal([status, headers.location], [301, '/comfyui/0/?a=b'])
})

test('an upload of 300 MB streams through every worker without a copy on the disk or in memory', async () => {
  const boundary = 'frontier'
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="image"; filename="big.png"\r\n\r\n`
  const chunk = Buffer.alloc(MEGABYTE, 'x')
  async function* form() {
    yield Buffer.from(head)
    for (let sent = 0; sent < UPLOAD_BYTES; sent += chunk.length) {
      assert.equal(readdirSync(join(machine.directory, 'run/nginx/client_body')), [])
      yield chunk
    }
    yield Buffer.from(`\r\n--${boundary}--\r\n`)
  }
  const headers = { 'Content-Type': `multipart/form-data; boundary=${boundary}` }
  const answer = await send(machine.port, { method: 'POST', path: '/comfyui/0/upload/image', headers, body: form() })
  assert.equal([answer.status, JSON.parse(answer.body).name], [200, 'big.png'], answer.body)
  for (const peakBytes of workerPeakBytes(machine)) assert.ok(peakBytes < 64 * MEGABYTE, `peak ${peakBytes}`)
})

function workerPeakBytes({ process: { pid } }: NginxMachine): number[] {
  const workers = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  return workers.map((worker) => {
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${worker}/status`, 'utf8'))
    return Number(peak?.[1]) * 1024
  })
}

test('a body beyond the limit is refused at once with 413 in JSON', async () => {
  const headers = { 'Content-Length': String(513 * MEGABYTE) }
  const answer = await send(machine.port, { method: 'POST', path: '/comfyui/0/prompt', headers, body: 'x'.repeat(100) })
  assert.equal([answer.status, JSON.parse(answer.body).error.code], [413, 'body_too_large'])
})

test('what a live service answers passes untouched, errors too', async () => {
  const statuses = [200, 204, 302, 400, 401, 403, 404, 405, 413, 429, 500, 502, 503, 504]
  const ollama = await startRecorder(machine.portOf('ollama'), ({ url }) => ({
    status: Number(url.slice(1)),
    headers: { 'X-Own': 'yes' },
    body: url === '/204' ? '' : 'own words',
  }))
  for (const status of statuses) {
    const headers = { Accept: 'text/html' }
    const answer = await send(machine.port, { path: `/ollama/${status}`, headers })
    assert.equal([answer.status, answer.headers['x-own']], [status, 'yes'])
    assert.is(answer.body, status === 204 ? '' : 'own words')
  }
  await ollama.close()
})

test('the refusals of ComfyUI itself come through', async () => {
  const answer = await send(machine.port, { method: 'POST', path: '/comfyui/0/prompt', body: '{"prompt":{}}' })
  assert.equal([answer.status, JSON.parse(answer.body).error.type], [400, 'prompt_no_outputs'])
})

test('the sidecar answers below /api/, for the health of the machine and of each service', async () => {
  const ask = async (path: string, method = 'GET') => {
    const { status, body } = await send(machine.port, { path, method })
    return [status, body]
  }
  assert.equal(await ask('/api/services/a%2Fb/logs?limit=3'), [200, 'sidecar /services/a%2Fb/logs?limit=3'])
  assert.equal(await ask('/health'), [200, 'sidecar /health'])
  assert.equal(await ask('/comfyui/1/health'), [200, 'sidecar /services/comfyui-gpu1/health'])
  assert.equal(await ask('/health', 'HEAD'), [200, ''])
  assert.is((await ask('/health', 'POST'))[0], 405)
  assert.equal(await ask('/-/proxy'), [200, 'ok\n'])
})

test('the first page lists the routes, and a path without a route is not found, for people and programs', async () => {
  const index = await send(machine.port, { path: '/', headers: { Accept: 'text/html' } })
  assert.match(index.headers['content-type'] ?? '', 'text/html')
  for (const route of ['/comfyui/0/', '/comfyui/1/', '/comfyui/', '/ollama/', '/api/', '/health']) {
    assert.match(index.body, `<a href="${route}">`)
  }
  const program = await send(machine.port, { path: '/nothing', method: 'POST', body: 'x' })
  assert.equal([program.status, JSON.parse(program.body).error.code], [404, 'not_found'])
  const person = await send(machine.port, { path: '/nothing', headers: { Accept: 'text/html' } })
  assert.is(person.status, 404)
  assert.match(person.body, '<h1>404</h1>')
  for (const path of ['/starting.html', '/nginx.conf', '/index.html']) {
    assert.is((await send(machine.port, { path })).status, 404)
  }
})

test('the access log is JSON with the path but not the query', async () => {
  const { headers } = await send(machine.port, { path: '/comfyui/0/api/userdata/%22%5C%2F%0A?token=secret' })
  const entry = await machine.logged(headers['x-request-id'])
  assert.is(entry.path, '/comfyui/0/api/userdata/%22%5C%2F%0A')
  assert.is(entry.route, '/comfyui/0/')
  assert.is(entry.service, 'comfyui-gpu0')
  assert.is(entry.upstream, `127.0.0.1:${machine.portOf('comfyui-gpu0')}`)
  assert.equal([entry.method, entry.status, entry.upstreamStatus], ['GET', 404, '404'])
  assert.ok(!Number.isNaN(Date.parse(String(entry.timestamp))))
  for (const name of ['requestSeconds', 'bytesSent', 'bytesReceived']) assert.type(entry[name], 'number')
  for (const name of ['upstreamConnectSeconds', 'upstreamHeaderSeconds', 'upstreamResponseSeconds']) {
    assert.match(String(entry[name]), /^\d+\.\d+$/)
  }
  assert.not.match(readFileSync(machine.plan.proxy?.accessLog ?? '', 'utf8'), 'secret')
})

test('an event stream arrives event by event', async () => {
  const pushes: ((event: string) => void)[] = []
  const server = createServer((_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    pushes.push((event) => void response.write(`data: ${event}\n\n`))
    pushes[0]?.('one')
  }).listen(machine.portOf('ollama'), '127.0.0.1')
  const received: string[] = []
  await new Promise<void>((resolve, reject) => {
    const client = request({ host: '127.0.0.1', port: machine.port, path: '/ollama/events' }, (response) => {
      response.on('data', (chunk: Buffer) => {
        received.push(chunk.toString())
        if (received.length === 1) pushes[0]?.('two')
        else resolve(client.destroy() as unknown as undefined)
      })
    })
    client.on('error', reject).end()
  })
  server.close()
  server.closeAllConnections()
  assert.equal(received, ['data: one\n\n', 'data: two\n\n'])
})

test.run()
