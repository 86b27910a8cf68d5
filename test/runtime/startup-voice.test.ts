import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { EventDraft, MachineEvent } from '../../runtime/shared/machine-event.ts'
import { ownAddress } from '../../runtime/sidecar/events/originals/host-facts.ts'
import { startupVoice } from '../../runtime/sidecar/events/originals/startup-voice.ts'
import { statusVoice } from '../../runtime/sidecar/events/originals/status-voice.ts'
import type { RedisCommand } from '../../runtime/sidecar/events/redis-connection.ts'
import { planFixture, serviceFixture } from '../fixtures/plan-fixture.ts'
import { fieldFlaws } from './field-flaws.ts'
import { startupTable } from './originals-tables.ts'

const PLAN = planFixture({
  gpuCount: 1,
  types: ['comfyui', 'ollama'],
  services: {},
  plan: { target: 'container' },
})
const plan = {
  ...PLAN,
  services: [
    ...PLAN.services,
    { ...serviceFixture('models', 'provision', null, 0), kind: 'task' as const, port: null },
  ],
}
const host = { hostname: 'box', os: 'Linux 6.1', cpuCores: 8, totalRamGB: 64 }
const AT_MS = Date.parse('2026-01-01T00:00:00Z')

/** Events of a journal, numbered from 1, each 10 ms after the one before, in these boots. */
function journalOf(boots: readonly (readonly EventDraft[])[]): readonly MachineEvent[] {
  const drafts = boots.flatMap((list, boot) => list.map((draft) => ({ draft, bootId: `boot-${boot + 1}` })))
  return drafts.map(({ draft, bootId }, index) => {
    const at = new Date(AT_MS + 10 * index).toISOString()
    return { v: 1, bootId, seq: index + 1, at, machine: plan.machine.id, ...draft }
  })
}

function voiceOf(events: readonly MachineEvent[], nowMs = AT_MS + 60_000) {
  return startupVoice({
    facts: { plan, host },
    journal: {
      bootId: events.at(-1)?.bootId ?? '',
      lastSeq: () => events.length,
      since: (seq, limit) => events.slice(seq, seq + limit),
    },
    findStart: (bootId) =>
      events.findLast((event) => event.bootId === bootId && event.type === 'machine.started')?.seq ?? null,
    nowMs: () => nowMs,
  })
}

const started: EventDraft = { type: 'machine.started', status: 'starting' }
const start = (service: string): EventDraft => ({ type: 'service.started', service, context: { run: '1@1' } })
const ready = (service: string): EventDraft => ({ type: 'service.ready', service, context: { startupMs: 5 } })
const fail = (service: string): EventDraft => ({
  type: 'service.failed',
  service,
  error: { code: 'crash', message: `"${service}" ended: exit code 1` },
})
const degraded = (canTakeJobs: boolean): EventDraft => ({
  type: 'machine.degraded',
  error: { code: 'DEGRADED', message: '"ollama" is failed' },
  context: { ready: canTakeJobs },
})

const BOOT: readonly EventDraft[] = [
  started,
  { type: 'worker.state', worker: 'w', status: 'announcing' },
  start('models'),
  start('nginx'),
  ready('nginx'),
  { type: 'provision.progress', service: 'models', progress: { bytes: 1 } },
  ready('models'),
  start('ollama'),
  start('comfyui-gpu0'),
  fail('comfyui-gpu0'),
  { type: 'service.restarted', service: 'comfyui-gpu0', context: { run: '2@2' } },
  ready('comfyui-gpu0'),
  ready('ollama'),
  { type: 'machine.ready', status: 'ready' },
  fail('ollama'),
  ready('ollama'),
  { type: 'machine.stopping', status: 'stopping' },
  { type: 'machine.stopped', status: 'stopped' },
]

const messageOf = (command: RedisCommand) => JSON.parse(String(command.at(-1)))
const published = (commands: readonly RedisCommand[]) => commands.filter(([name]) => name === 'publish').map(messageOf)
const brief = ({ event_type, phase, step_name, service_name }: Record<string, string>) =>
  [event_type, phase ?? step_name ?? service_name].filter(Boolean).join(' ')

test('a boot in the words of the first generation, each of them as its table says', () => {
  const events = journalOf([BOOT])
  const voice = voiceOf(events)
  const messages = events.flatMap((event) => published(voice.event(event)))
  assert.equal(messages.map(brief), [
    'machine_startup starting',
    'startup_step simulation_skipped',
    'machine_startup configuring',
    'startup_step phase_0_begin',
    'startup_step phase_1_begin',
    'service_started nginx',
    'startup_step phase_1_complete',
    'startup_step phase_0_complete',
    'startup_step phase_3_begin',
    'startup_step phase_2_begin',
    'startup_step gpu_0_begin',
    'service_failed comfyui-gpu0',
    'service_started comfyui-gpu0',
    'startup_step phase_2_complete',
    'service_started ollama',
    'startup_step phase_3_complete',
    'machine_startup ready',
    'startup_complete',
    'service_failed ollama',
    'service_started ollama',
    'shutdown',
  ])
  const ports = plan.services.map(({ port }) => port)
  for (const message of messages) {
    assert.equal(fieldFlaws(message, startupTable(message.event_type, ports)), [], brief(message))
  }
  const complete = messages.find(({ event_type }) => event_type === 'startup_complete')
  assert.equal([complete.total_startup_time_ms, complete.step_count], [130, 10])
  const shutdown = messages.at(-1)
  assert.equal([shutdown.timestamp, shutdown.uptime_ms], [AT_MS + 160, 160])
  assert.is(shutdown.reason, 'Docker container shutdown')
})

test('a sidecar that begins anywhere, and one that says everything again, say the same', () => {
  const events = journalOf([BOOT, BOOT])
  const whole = voiceOf(events)
  const expected = events.map((event) => whole.event(event))
  for (let from = 0; from < events.length; from++) {
    const late = voiceOf(events)
    assert.equal(
      events.slice(from).map((event) => published(late.event(event))),
      expected.slice(from).map(published),
      `from ${from + 1}`,
    )
  }
  assert.equal(
    events.map((event) => whole.event(event)),
    expected,
    'the same records too',
  )
})

test('a boot whose beginning is lost is no start any more', () => {
  const events = journalOf([BOOT])
    .slice(4)
    .map((event, index) => ({ ...event, seq: index + 1 }))
  const voice = voiceOf(events)
  const said = events.flatMap((event) => published(voice.event(event))).map(brief)
  assert.equal(said, [
    'service_started nginx',
    'service_failed comfyui-gpu0',
    'service_started comfyui-gpu0',
    'service_started ollama',
    'service_failed ollama',
    'service_started ollama',
    'shutdown',
  ])
})

test('a start that ends without all services is complete where jobs can be taken, and failed where not', () => {
  const say = (...drafts: readonly EventDraft[]) => {
    const events = journalOf([[started, ...drafts]])
    const voice = voiceOf(events)
    return events.flatMap((event) => published(voice.event(event))).map(brief)
  }
  assert.equal(say(degraded(true)).slice(-2), ['machine_startup ready', 'startup_complete'])
  assert.is(say(degraded(false)).at(-1), 'startup_failed')
  const recovered = say(degraded(false), { type: 'machine.ready' }, degraded(false))
  assert.equal(recovered.slice(-3), ['startup_failed', 'machine_startup ready', 'startup_complete'])
})

test('each event has a record of its own for a day, also two of one millisecond, and none when it is older', () => {
  const at = new Date(AT_MS).toISOString()
  const events = journalOf([[started, ready('nginx'), ready('ollama')]]).map((event) => ({ ...event, at }))
  const voice = voiceOf(events)
  const records = events.flatMap((event) => voice.event(event)).filter(([name]) => name === 'setex')
  const keys = records.map(([, key]) => String(key))
  assert.is(new Set(keys).size, keys.length)
  assert.is(keys[0], `machine:startup:test-machine:machine_startup:${AT_MS}`)
  assert.ok(records.every(([, , seconds]) => seconds === 86_400))
  const old = voiceOf(events, AT_MS + 86_400_001)
  assert.ok(events.flatMap((event) => old.event(event)).every(([name]) => name === 'publish'))
})

test('a machine says again that it is there as far as it is', () => {
  const events = journalOf([BOOT.slice(0, 4)])
  const voice = voiceOf(events)
  assert.equal(voice.sayAgain(AT_MS), [], 'nothing was told yet')
  for (const event of events) voice.event(event)
  assert.equal(published(voice.sayAgain(AT_MS + 500)).map(brief), ['machine_startup configuring'])
  const complete = voiceOf(journalOf([BOOT.slice(0, 14)]))
  for (const event of journalOf([BOOT.slice(0, 14)])) complete.event(event)
  assert.equal(published(complete.sayAgain(AT_MS + 500)).map(brief), ['machine_startup ready', 'startup_complete'])
})

test('the second generation says the stop of this boot twice, and that of an earlier one never', () => {
  const voice = statusVoice({ machine: 'm', bootId: 'boot-2' }, (update_type) => ({ update_type }) as never)
  const [first, second] = journalOf([[{ type: 'machine.stopping' }], [{ type: 'machine.stopping' }]])
  assert.equal(voice.event(first!), [])
  assert.equal(
    published(voice.event(second!)).map(({ update_type }) => update_type),
    ['event_driven', 'shutdown'],
  )
  const said = (['initial', 'periodic', 'changed'] as const).flatMap((cause) => voice.status(cause))
  assert.equal(
    said.map((command) => [command[1], messageOf(command).update_type]),
    ['initial', 'periodic', 'event_driven'].map((type) => ['machine:status:m', type]),
  )
})

test('the address of a machine is one that others can use', () => {
  const address = (family: string, text: string, internal = false) => ({ family, address: text, internal }) as never
  assert.is(
    ownAddress({ lo: [address('IPv4', '127.0.0.1', true)], eth0: [address('IPv4', '172.17.0.2')] }),
    '172.17.0.2',
  )
  const v6 = [address('IPv6', 'fe80::1'), address('IPv6', 'fd00::7')]
  assert.is(ownAddress({ eth0: v6 }), '[fd00::7]')
  assert.is(ownAddress({ eth0: [...v6, address('IPv4', '10.0.0.7')] }), '10.0.0.7')
  assert.match(ownAddress({}), /^[^.:/]+/)
})

test.run()
