import assert from 'node:assert/strict'
import { test } from 'uvu'
import { compile } from '../../generator/compile.ts'
import type { Plan } from '../../schema/plan.ts'

function plan(text: string, environment: Record<string, string> = {}): Plan {
  const sources = [{ file: 'machine.yaml', text: `machine: { id: box }\n${text}` }]
  const compiled = compile({ sources, environment, applyEnvironment: true })
  assert.deepEqual(compiled.diagnostics, [])
  return compiled.plan!
}

const urlOf = (text: string) => plan(text).sidecar.publicUrl

test('the URL for other hosts is that of whatever lets them in', () => {
  assert.equal(urlOf('services: { nginx: {} }'), 'http://{address}:80/api')
  assert.equal(urlOf('services: { nginx: { port: 8080, listen: 10.0.0.7 } }'), 'http://10.0.0.7:8080/api')
  const tls = '{ port: 8443, certificate: /etc/ssl/c.pem, key: /etc/ssl/k.pem }'
  assert.equal(urlOf(`services: { nginx: { tls: ${tls} } }`), 'https://{address}:8443/api')
  assert.equal(urlOf('services: { nginx: {} }\nsidecar: { listen: 0.0.0.0 }'), 'http://{address}:9090')
  assert.equal(urlOf('services: { nginx: {} }\nsidecar: { listen: "fd00::7" }'), 'http://[fd00::7]:9090')
  assert.equal(urlOf('services: { comfyui: {} }'), 'http://127.0.0.1:9090', 'nobody is let in')
  const given = 'https://box.example.com/api/'
  assert.equal(urlOf(`services: { nginx: {} }\nsidecar: { publicUrl: ${given} }`), 'https://box.example.com/api')
})

test('announcements are on, can be switched off, and take the interval of the first machines', () => {
  const on = { startupEvents: true, machineStatus: true, intervalMs: 10_000 }
  assert.deepEqual(plan('services: { nginx: {} }').redis.announcements, on)
  const text = 'services: { nginx: {} }\nredis: { announcements: { startupEvents: false, interval: 5s } }'
  assert.deepEqual(plan(text).redis.announcements, { ...on, startupEvents: false, intervalMs: 5000 })
  const environment = { MACHINE_STATUS_UPDATE_INTERVAL_SECONDS: '7' }
  assert.equal(plan(text, environment).redis.announcements.intervalMs, 7000)
})

test('workers register themselves where the machine does not publish their state', () => {
  const modes = ['true', 'false'].map((machineStatus) => {
    const text = `services: { comfyui: {}, redisWorker: {} }\nredis: { announcements: { machineStatus: ${machineStatus} } }`
    const worker = plan(text).services.find(({ type }) => type === 'redis-worker')
    return worker?.environment.UNIFIED_MACHINE_STATUS
  })
  assert.deepEqual(modes, ['true', 'false'])
})

test.run()
