import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { compile } from '../../generator/compile.ts'
import { composeString } from '../../generator/emit/quote/compose.ts'

interface ComposeFile {
  readonly name: string
  readonly services: Record<
    string,
    {
      readonly image: string
      readonly environment?: Record<string, string | null>
      readonly ports?: readonly string[]
      readonly stop_grace_period?: string
      readonly init?: boolean
      readonly depends_on?: readonly string[]
      readonly deploy?: { resources: { reservations: { devices: readonly Record<string, unknown>[] } } }
    }
  >
}

function composeOf(text: string): ComposeFile {
  const { artifacts, diagnostics } = compile({ sources: [{ file: 'machine.yaml', text }], target: 'compose' })
  assert.equal(
    diagnostics.filter(({ severity }) => severity === 'error'),
    [],
  )
  assert.equal(
    artifacts.map(({ path }) => path),
    ['compose.yaml'],
  )
  return parse(String(artifacts[0]?.content)) as ComposeFile
}

const base = (gpu: string, rest = ''): string =>
  `machine: { id: m1, stopGracePeriod: 90s, gpu: ${gpu} }\nservices: { nginx: {}, comfyui: {} }\n${rest}`

test('a compose file has the ports, the grace period, the GPUs and the secrets of its machine', () => {
  const { name, services } = composeOf(base('{ count: 2 }', 'redis: { url: "${HUB_REDIS_URL:-}" }\n'))
  const { machine, redis } = services
  assert.is(name, 'm1')
  assert.is(machine?.stop_grace_period, '90s')
  assert.is(machine?.init, undefined)
  assert.ok(machine?.ports?.includes('80:80'))
  assert.ok(machine?.ports?.includes('3189:3189'))
  assert.not.ok(machine?.ports?.some((port) => port.startsWith('8188') || port.startsWith('9090')))
  assert.is(machine?.environment?.HUB_REDIS_URL, '${HUB_REDIS_URL:-redis://redis:6379/0}')
  assert.is(machine?.environment?.SERVER_CREDS, null)
  assert.equal(machine?.depends_on, ['redis'])
  assert.ok(redis?.image.startsWith('redis:'))
  assert.equal(machine?.deploy?.resources.reservations.devices, [{ driver: 'nvidia', count: 2, capabilities: ['gpu'] }])
})

test('GPUs that are pinned by UUID are handed over by UUID, those by other indexes with all the others', () => {
  const devicesOf = (gpu: string) => composeOf(base(gpu)).services.machine?.deploy?.resources.reservations.devices[0]
  assert.equal(devicesOf('{ count: 1, devices: [GPU-8f1e2c3d-0000-1111-2222-333344445555] }')?.device_ids, [
    'GPU-8f1e2c3d-0000-1111-2222-333344445555',
  ])
  assert.is(devicesOf('{ count: 2, devices: [2, 3] }')?.count, 'all')
})

test('a machine without real GPUs reserves none, one with its Redis written down brings none', () => {
  const { services } = composeOf(base('{ count: 1, mock: true }', 'redis: { url: redis://elsewhere:6379 }\n'))
  assert.is(services.machine?.deploy, undefined)
  assert.equal(Object.keys(services), ['machine'])
})

test('any text comes out of a compose file as it went in: no variable of the shell is read in it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const expressible = !/[\u0000\ud800-\udfff]/.test(text)
      fc.pre(expressible)
      const read = (parse(`value: ${composeString(text)}`) as { value: string }).value
      // What a compose implementation makes of a string without any single `$`.
      assert.not.match(read.replaceAll('$$', ''), /\$/)
      assert.is(read.replaceAll('$$', '$'), text)
    }),
  )
})

test.run()
