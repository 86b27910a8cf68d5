import { createServer, type Server } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createHttpAsk } from '../../runtime/sidecar/probes/http-ask.ts'
import { judgeAnswer, probe } from '../../runtime/sidecar/probes/probe.ts'
import { probeDelayMs } from '../../runtime/sidecar/probes/prober.ts'
import type { Probe } from '../../schema/plan.ts'
import { freePorts } from './local-tree.ts'

type Expectation = Extract<Probe, { kind: 'http' }>['expect']

const ANSWERS: { expect: Expectation; status?: number; body: string; flaw: string | null }[] = [
  { expect: 'status', body: '', flaw: null },
  { expect: 'status', status: 204, body: '', flaw: null },
  { expect: 'status', status: 302, body: '', flaw: 'status 302' },
  { expect: 'proxy', status: 502, body: '', flaw: 'status 502' },
  { expect: 'comfyui', body: '{"system":{},"devices":[]}', flaw: null },
  {
    expect: 'comfyui',
    body: '{"system":{}}',
    flaw: 'the answer has no "system" and "devices": another program may have the port',
  },
  { expect: 'comfyui', body: '<html>', flaw: 'the answer is not JSON' },
  {
    expect: 'comfyui',
    body: 'null',
    flaw: 'the answer has no "system" and "devices": another program may have the port',
  },
  { expect: 'automatic1111', body: '{"progress":0.0,"state":{}}', flaw: null },
  {
    expect: 'automatic1111',
    body: '{"progress":"no"}',
    flaw: 'the answer has no "progress": another program may have the port',
  },
  { expect: 'ollama', body: '{"version":"0.5.1"}', flaw: null },
  { expect: 'ollama', body: '[]', flaw: 'the answer has no "version": another program may have the port' },
]

for (const { expect, status = 200, body, flaw } of ANSWERS) {
  test(`an answer to a probe for ${expect}: ${status} ${body}`, () => {
    assert.is(judgeAnswer({ kind: 'http', path: '/', expect }, status, body), flaw)
  })
}

const service = (port: number, kind: Probe, timeoutMs = 300) => ({
  type: 'custom' as const,
  address: '127.0.0.1',
  port,
  probe: kind,
  liveness: { intervalMs: 1000, timeoutMs, failures: 3 },
})
const HTTP: Probe = { kind: 'http', path: '/ok', expect: 'status' }

/** A server that does this with every connection. */
async function withServer(port: number, onData: string | null, check: () => Promise<void>): Promise<void> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => onData !== null && socket.end(onData))
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  try {
    await check()
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
}

test('a port where nothing listens is a failure that needs no patience', async () => {
  const [port] = await freePorts(1)
  const { ask, close } = createHttpAsk()
  for (const kind of [HTTP, { kind: 'tcp' } as const]) {
    const outcome = await probe(service(port!, kind), ask)
    assert.equal(outcome, { ok: false, patient: false, problem: `nothing listens on 127.0.0.1:${port}` })
  }
  await close()
})

test('a server that takes the connection and is silent is slow; its port is open', async () => {
  const [port] = await freePorts(1)
  const { ask, close } = createHttpAsk()
  await withServer(port!, null, async () => {
    const startedMs = Date.now()
    assert.equal(await probe(service(port!, HTTP), ask), {
      ok: false,
      patient: true,
      problem: 'GET /ok: no answer within 300 ms',
    })
    assert.ok(Date.now() - startedMs < 2000)
    assert.equal(await probe(service(port!, { kind: 'tcp' }), ask), { ok: true })
    await close()
  })
})

test('nonsense, and an answer without an end, are failures and no crash', async () => {
  const [port] = await freePorts(1)
  const { ask, close } = createHttpAsk()
  await withServer(port!, 'SSH-2.0-OpenSSH\r\n', async () => {
    assert.not((await probe(service(port!, HTTP), ask)).ok)
  })
  await withServer(port!, `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(1_200_000)}`, async () => {
    assert.not((await probe(service(port!, HTTP), ask)).ok)
  })
  await close()
})

test('services without a probe of their own are taken at their word', async () => {
  const { ask } = createHttpAsk()
  assert.equal(await probe(service(1, { kind: 'uptime', graceMs: 5 }), ask), { ok: true })
  assert.equal(await probe({ ...service(1, HTTP), probe: null }, ask), { ok: true })
})

test('readiness is seen late by a tenth at the most, and liveness is spread', () => {
  assert.is(probeDelayMs(10_000, false, 0, 0.5), 100)
  assert.is(probeDelayMs(10_000, false, 4000, 0.5), 400)
  assert.is(probeDelayMs(10_000, false, 60_000, 0.5), 1000)
  assert.is(probeDelayMs(10_000, true, 60_000, 0), 9000)
  assert.is(probeDelayMs(10_000, true, 60_000, 1), 11_000)
})

test.run()
