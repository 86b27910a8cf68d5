import type { IncomingMessage } from 'node:http'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import type { Simulated } from '../runtime/start-simulated.ts'
import { type Answer, end, type NginxMachine, send, startComfyUi, startNginx, until } from './nginx-machine.ts'

const NAMES = ['comfyui-gpu0', 'comfyui-gpu1', 'comfyui-gpu2']
const CLIENTS = 50
const BROWSER = { Accept: 'text/html' }
const PROMPT = {
  1: { class_type: 'EmptyImage', inputs: { width: 8, height: 8, batch_size: 1, color: 0 } },
  2: { class_type: 'PreviewImage', inputs: { images: ['1', 0] } },
}
const auth = { mode: 'off', user: 'sd', passwordSecret: null, tokenSecret: null } as const

/** A client as the proxy sees it: what it sends with each request. */
interface Client {
  readonly id: string
  readonly headers: Record<string, string>
  readonly from?: string
}

let machine: NginxMachine
const comfyuis = new Map<string, Simulated>()

const start = async (name: string) => void comfyuis.set(name, await startComfyUi(machine, name))
const kill = async (name: string) => {
  const comfyui = comfyuis.get(name)
  comfyuis.delete(name)
  if (comfyui !== undefined) await end(comfyui)
}

test.before(async () => {
  machine = await startNginx({ gpuCount: NAMES.length, proxy: { auth } })
  await Promise.all(NAMES.map(start))
})

test.after(async () => {
  await Promise.all([...comfyuis.keys()].map(kill))
  await machine.stop()
})

const ask = ({ headers, from }: Client, path = '/comfyui/queue', body?: string) =>
  send(machine.port, {
    path,
    headers,
    ...(body === undefined ? {} : { method: 'POST', body }),
    ...(from === undefined ? {} : { from }),
  })

const instanceOf = async (client: Client) => String((await ask(client)).headers['x-served-by'])

function cookieOf(answer: Answer): string | undefined {
  return answer.headers['set-cookie']?.find((cookie) => cookie.startsWith('machine_instance='))?.split(';')[0]
}

/** Opens the page as a browser does and keeps its cookie. */
async function openBrowser(id: string): Promise<Client> {
  const cookie = cookieOf(await ask({ id, headers: BROWSER }, '/comfyui/'))
  return { id, headers: { Cookie: cookie ?? '' } }
}

const browsers = () => Promise.all(Array.from({ length: CLIENTS }, (_, index) => openBrowser(`browser-${index}`)))

const programs = (): Client[] =>
  Array.from({ length: CLIENTS }, (_, index) => ({ id: `program-${index}`, headers: {}, from: `127.0.1.${index + 1}` }))

const namedPrograms = (): Client[] =>
  Array.from({ length: CLIENTS }, (_, index) => ({ id: `named-${index}`, headers: { 'X-Client-Id': `job-${index}` } }))

/** Listens as the client, prompts as the client, and waits until the end of the prompt is told. */
async function runPrompt(client: Client): Promise<void> {
  const options = { headers: client.headers, ...(client.from ? { localAddress: client.from } : {}) }
  const socket = new WebSocket(`ws://127.0.0.1:${machine.port}/comfyui/ws?clientId=${client.id}`, options)
  const ended = new Promise<void>((resolve, reject) => {
    setTimeout(() => reject(new Error(`${client.id} was told nothing`)), 20_000).unref()
    socket.on('error', reject)
    socket.on('message', (text) => {
      const { type, data } = JSON.parse(String(text)) as { type: string; data: { node?: string | null } }
      if (type === 'executing' && data.node === null) resolve()
    })
  })
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))
  const body = JSON.stringify({ prompt: PROMPT, client_id: client.id })
  const answer = await ask(client, '/comfyui/prompt', body)
  assert.is(answer.status, 200, answer.body)
  await ended
  socket.terminate()
}

async function share(clients: readonly Client[]): Promise<Map<string, number>> {
  const counts = new Map(NAMES.map((name) => [name, 0]))
  for (const name of await Promise.all(clients.map(instanceOf))) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

for (const [kind, make] of Object.entries({ browsers, programs, 'programs with an id': namedPrograms })) {
  test(`${CLIENTS} ${kind} spread over the instances, and each hears of its own prompt`, async () => {
    const clients = await make()
    const counts = await share(clients)
    assert.is(
      [...counts.values()].reduce((sum, count) => sum + count),
      CLIENTS,
    )
    for (const [name, count] of counts) assert.ok(count >= CLIENTS / 10, `${name} has ${count}`)
    await Promise.all(clients.map(runPrompt))
    assert.equal(await share(clients), counts)
  })
}

test('a program gets no cookie, and stays where it is though the path, the method and the query differ', async () => {
  const client: Client = { id: 'steady', headers: {}, from: '127.0.2.1' }
  const instance = await instanceOf(client)
  for (const path of ['/comfyui/history', '/comfyui/queue?clientId=x', '/comfyui/api/system_stats']) {
    const { headers } = await ask(client, path)
    assert.equal([headers['x-served-by'], headers['set-cookie']], [instance, undefined])
  }
})

test('a program behind another proxy counts by its own address, whatever port stands beside it', async () => {
  const behind = (address: string): Client => ({ id: address, headers: { 'X-Forwarded-For': address } })
  const addresses = Array.from({ length: CLIENTS }, (_, index) => `203.0.113.${index}`)
  for (const [, count] of await share(addresses.map(behind))) assert.ok(count > 0)
  const forms = ['203.0.113.7', '203.0.113.7:1234', '203.0.113.7:999, 10.0.0.1']
  assert.is(new Set(await Promise.all(forms.map((form) => instanceOf(behind(form))))).size, 1)
})

test('the routes of the instances lead to themselves, whatever the cookie says', async () => {
  for (const [index, name] of NAMES.entries()) {
    const path = `/comfyui/${index}/system_stats`
    const { headers } = await send(machine.port, { path, headers: { Cookie: 'machine_instance=comfyui-gpu1' } })
    const entry = await machine.logged(headers['x-request-id'])
    assert.is(entry.upstream, `127.0.0.1:${machine.portOf(name)}`)
  }
})

test('a cookie that names no instance does no harm, and is replaced', async () => {
  for (const value of ['comfyui-gpu9', '""', 'x:y', '%0a', '$http_host']) {
    const answer = await ask({ id: 'odd', headers: { Cookie: `machine_instance=${value}` } })
    assert.is(answer.status, 200)
    assert.match(cookieOf(answer) ?? '', /^machine_instance=comfyui-gpu[012]$/)
  }
})

test('when an instance dies its clients move together, stay together, and the others notice nothing', async () => {
  const clients = [...(await browsers()), ...programs(), ...namedPrograms()]
  const before = await Promise.all(clients.map(instanceOf))
  await kill('comfyui-gpu1')
  const answers = await Promise.all(clients.map((client) => ask(client)))
  assert.equal([...new Set(answers.map(({ status }) => status))], [200])
  const moved = new Set<string>()
  const settled = clients.map((client, index) => {
    const answer = answers[index]
    const instance = String(answer?.headers['x-served-by'])
    assert.is.not(instance, 'comfyui-gpu1')
    if (before[index] !== 'comfyui-gpu1') assert.is(instance, before[index])
    else if (client.headers.Cookie) moved.add(instance)
    const cookie = answer && cookieOf(answer)
    return cookie === undefined ? client : { ...client, headers: { Cookie: cookie } }
  })
  assert.is(moved.size, 1, 'the tabs of one browser meet at one instance')
  await Promise.all(settled.map(runPrompt))
  const headers = { Cookie: 'machine_instance=comfyui-gpu1' }
  const socket = new WebSocket(`ws://127.0.0.1:${machine.port}/comfyui/ws?clientId=tab`, { headers })
  const upgrade = await new Promise<IncomingMessage>((resolve) => socket.on('upgrade', resolve))
  socket.terminate()
  assert.match(String(upgrade.headers['set-cookie']), `machine_instance=${[...moved][0]};`)

  await start('comfyui-gpu1')
  const after = await Promise.all(settled.map(instanceOf))
  for (const [index, client] of settled.entries()) {
    // Browsers stay where their websocket is now; programs, which keep nothing, are back where they were.
    const expected = client.headers.Cookie ? String(answers[index]?.headers['x-served-by']) : before[index]
    assert.is(after[index], expected)
  }
})

test('a browser whose instance and its stand-in are both down is told to forget, and served by the rest', async () => {
  const cookie = 'machine_instance=comfyui-gpu0'
  await Promise.all(['comfyui-gpu0', 'comfyui-gpu1'].map(kill))
  const page = await ask({ id: 'lost', headers: { ...BROWSER, Cookie: cookie } }, '/comfyui/')
  assert.is(page.status, 503)
  assert.match(String(page.headers['set-cookie']), 'machine_instance=; Path=/comfyui/; Max-Age=0')
  const again = await openBrowser('lost')
  assert.is(again.headers.Cookie, 'machine_instance=comfyui-gpu2')
  await Promise.all(['comfyui-gpu0', 'comfyui-gpu1'].map(start))
})

test('when all are down the page waits, and serves again as soon as one is back', async () => {
  await Promise.all(NAMES.map(kill))
  const client: Client = { id: 'patient', headers: {} }
  assert.is((await ask(client)).status, 503)
  await start('comfyui-gpu2')
  await until(async () => (await ask(client)).status === 200)
  assert.is(await instanceOf(client), 'comfyui-gpu2')
})

test.run()
