import { createServer } from 'node:http'
import { runInNewContext } from 'node:vm'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket, WebSocketServer } from 'ws'
import { end, send, startComfyUi, startNginx, startRecorder, until } from './nginx-machine.ts'

const BROWSER = { Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }
const auth = { mode: 'off', user: 'sd', passwordSecret: null, tokenSecret: null } as const

test('until a service is up, browsers get a page that waits for it and programs get 503 in JSON', async () => {
  const machine = await startNginx({ proxy: { auth } })
  const gpuPort = machine.plan.proxy?.gpuPorts[1]?.port ?? 0
  const doors = [
    { port: machine.port, path: '/comfyui/1/x?y=z', service: 'comfyui-gpu1', stateUrl: '/api/services/comfyui-gpu1' },
    { port: machine.port, path: '/comfyui/', service: 'comfyui', stateUrl: '/api/services' },
    { port: gpuPort, path: '/', service: 'comfyui-gpu1', stateUrl: '' },
  ]
  for (const { port, path, service, stateUrl } of doors) {
    const page = await send(port, { path, headers: BROWSER })
    assert.is(page.status, 503)
    assert.match(page.headers['content-type'] ?? '', 'text/html')
    assert.equal([page.headers['retry-after'], page.headers['cache-control']], ['5', 'no-store'])
    assert.match(page.body, `data-service="${service}" data-state-url="${stateUrl}"`)
    assert.match(page.body, `<h1><code>${service}</code> is not up yet</h1>`)

    for (const method of ['GET', 'POST', 'DELETE']) {
      const program = await send(port, { method, path, headers: { Accept: '*/*' }, body: 'x' })
      assert.equal([program.status, program.headers['retry-after']], [503, '5'])
      const { error } = JSON.parse(program.body)
      assert.equal([error.code, error.service], ['upstream_unavailable', service])
      assert.is(error.requestId, program.headers['x-request-id'])
    }
    const posted = await send(port, { method: 'POST', path, headers: BROWSER, body: 'x' })
    assert.match(posted.headers['content-type'] ?? '', 'application/json')
  }
  const health = await send(machine.port, { path: '/health' })
  assert.equal([health.status, JSON.parse(health.body).error.service], [503, 'sidecar'])
  await machine.stop()
})

test('the page is whole by itself: its script parses, and nothing is loaded from elsewhere', async () => {
  const machine = await startNginx({ proxy: { auth } })
  const { body } = await send(machine.port, { path: '/comfyui/0/', headers: BROWSER })
  await machine.stop()
  const script = /<script>([\s\S]*)<\/script>/.exec(body)?.[1] ?? ''
  assert.ok(script.length > 100)
  assert.not.throws(() => new Function(script))
  assert.not.match(body, /src=|href=|@import|url\(|<!--#/)
  assert.match(body, '<meta name="color-scheme" content="light dark">')
  assert.match(body, '<noscript><meta http-equiv="refresh" content="5"></noscript>')
})

test('the page tells what the sidecar says of the service, and opens it when it answers', async () => {
  const machine = await startNginx({ proxy: { auth } })
  const states = [
    { name: 'comfyui-gpu0', state: 'up', ready: true },
    { name: 'comfyui-gpu1', state: 'waiting', ready: false, waitsFor: ['provision-models'], restarts: 2 },
    { name: 'nginx', state: 'up', ready: true },
  ]
  const sidecar = await startRecorder(machine.plan.sidecar.port, ({ url }) => ({
    body: JSON.stringify(url === '/services' ? { services: states } : states.find(({ name }) => url.endsWith(name))),
  }))
  const single = await openPage(machine.port, '/comfyui/1/')
  const group = await openPage(machine.port, '/comfyui/')
  const waiting = 'comfyui-gpu1: waiting, waits for provision-models, restarted 2 times'
  await until(() => single.lines().join() === waiting)
  await until(() => group.lines().join() === `comfyui-gpu0: ready,${waiting}`)
  assert.equal([single.reloads(), group.reloads()], [0, 0])
  const upstream = await startRecorder(machine.portOf('comfyui-gpu1'))
  await until(() => single.reloads() > 0 && group.reloads() > 0)
  for (const page of [single, group]) page.close()
  await Promise.all([upstream.close(), sidecar.close(), machine.stop()])
})

interface Item {
  textContent: string
}

/** Runs the script of a page with as much of a browser as it uses. */
async function openPage(port: number, path: string) {
  const { body } = await send(port, { path, headers: BROWSER })
  const attribute = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(body)?.[1] ?? ''
  const dataset = { service: attribute('data-service'), stateUrl: attribute('data-state-url') }
  const list = {
    children: [] as Item[],
    replaceChildren(...items: Item[]) {
      this.children = items
    },
  }
  let reloads = 0
  let isOpen = true
  const document = { querySelector: () => ({ dataset }), getElementById: () => list, createElement: () => ({}) }
  const location = { href: `http://127.0.0.1:${port}${path}`, reload: () => reloads++ }
  const fetchPage = (url: string, options: RequestInit) => fetch(new URL(url, location.href), options)
  // The page's two seconds between rounds, shortened.
  const wait = (next: () => void) => void setTimeout(() => isOpen && next(), 50)
  const script = /<script>([\s\S]*)<\/script>/.exec(body)?.[1] ?? ''
  runInNewContext(script, { document, location, fetch: fetchPage, setTimeout: wait })
  return {
    lines: () => list.children.map((item) => item.textContent),
    reloads: () => reloads,
    close: () => {
      isOpen = false
    },
  }
}

test('a service that comes up is reached at once, and one that is gone is missed at once, without a reload', async () => {
  const machine = await startNginx({ proxy: { auth }, gpuCount: 1 })
  const status = async (path: string) => (await send(machine.port, { path })).status
  assert.equal([await status('/comfyui/0/queue'), await status('/comfyui/queue')], [503, 503])
  const comfyui = await startComfyUi(machine, 'comfyui-gpu0')
  assert.equal([await status('/comfyui/0/queue'), await status('/comfyui/queue')], [200, 200])
  await end(comfyui)
  assert.equal([await status('/comfyui/0/queue'), await status('/comfyui/queue')], [503, 503])
  await machine.stop()
})

test('a browser sees by a HEAD request when it may open the service, also one that answers 503 itself', async () => {
  const machine = await startNginx({ proxy: { auth } })
  const head = async () => {
    const { status, headers } = await send(machine.port, { method: 'HEAD', path: '/comfyui/0/', headers: BROWSER })
    return [status, headers['x-unavailable-service']]
  }
  assert.equal(await head(), [503, 'comfyui-gpu0'])
  const upstream = await startRecorder(machine.portOf('comfyui-gpu0'), () => ({ status: 503 }))
  assert.equal(await head(), [503, undefined])
  await Promise.all([upstream.close(), machine.stop()])
})

test('a websocket to a service that is not up is refused with 503', async () => {
  const machine = await startNginx({ proxy: { auth } })
  const message = await new Promise((resolve) => {
    new WebSocket(`ws://127.0.0.1:${machine.port}/comfyui/0/ws`).on('error', (error) => resolve(error.message))
  })
  await machine.stop()
  assert.is(message, 'Unexpected server response: 503')
})

test('a service that dies in the middle of a request leaves 503, and a prompt is not sent a second time', async () => {
  const machine = await startNginx({ proxy: { auth } })
  let asked = 0
  const dying = ['comfyui-gpu0', 'comfyui-gpu1'].map((name) =>
    createServer((question) => {
      asked++
      question.resume().on('end', () => question.socket.destroy())
    }).listen(machine.portOf(name), '127.0.0.1'),
  )
  await until(async () => dying.every((server) => server.listening))
  const answer = await send(machine.port, { method: 'POST', path: '/comfyui/prompt', body: '{}' })
  assert.equal([answer.status, asked], [503, 1])
  for (const server of dying) server.close()
  await machine.stop()
})

test('nginx leaves in time at SIGQUIT though a websocket is open', async () => {
  const services = { nginx: { stop: { signal: 'SIGQUIT', timeoutMs: 1500 } } }
  const machine = await startNginx({ proxy: { auth }, services })
  const server = new WebSocketServer({ host: '127.0.0.1', port: machine.portOf('comfyui-gpu0') })
  const socket = new WebSocket(`ws://127.0.0.1:${machine.port}/comfyui/0/ws`)
  await new Promise((resolve) => socket.on('open', resolve))
  const exited = new Promise((resolve) => machine.process.on('exit', resolve))
  const startedMs = performance.now()
  machine.process.kill('SIGQUIT')
  await exited
  const elapsedMs = performance.now() - startedMs
  server.close()
  socket.terminate()
  assert.ok(elapsedMs < 1500, `${elapsedMs} ms`)
})

test.run()
