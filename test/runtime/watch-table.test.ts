import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { MachineEvent } from '../../runtime/shared/machine-event.ts'
import { applyEvent, applyStatus, type Fleet, type FleetMachine, unknownMachine } from '../../runtime/watch/fleet.ts'
import { formatFleet, type Surroundings } from '../../runtime/watch/fleet-table.ts'
import { type MachineStatus, readStatus } from '../../runtime/watch/machine-status.ts'
import { formatMachine } from '../../runtime/watch/machine-table.ts'
import { parseSince } from '../../runtime/watch/since.ts'
import { idBefore } from '../../runtime/watch/stream-entry.ts'

const NOW_MS = Date.parse('2026-11-21T12:00:00.000Z')
const SURROUNDINGS: Surroundings = { redis: 'hub:6379', nowMs: NOW_MS, outage: null, missed: 0, unreadable: 0 }
const LAYOUT = { columns: 120, rows: 24, color: false }

let seq = 0
const eventOf = (type: MachineEvent['type'], more: Partial<MachineEvent> = {}): MachineEvent => {
  seq += 1
  // The clock of the machine is wrong by a day.
  return { v: 1, bootId: 'boot-1', seq, at: '2026-11-20T09:00:00.000Z', machine: 'box-1', type, ...more }
}

const statusOf = (more: Partial<MachineStatus> = {}): MachineStatus => ({
  bootId: 'boot-1',
  seq: 1_000_000,
  phase: 'ready',
  ageMs: 4000,
  upMs: 3_600_000,
  ready: 2,
  total: 2,
  workers: new Map([
    ['w0', 'ready'],
    ['w1', 'busy'],
    ['w2', 'ready'],
  ]),
  services: new Map([
    ['nginx', 'ready'],
    ['comfyui-gpu0', 'ready'],
  ]),
  ...more,
})

const after = (machine: FleetMachine, ...events: readonly MachineEvent[]) =>
  events.reduce((before, event) => applyEvent(before, event, NOW_MS - 60_000), machine)

const fleetOf = (...machines: readonly FleetMachine[]): Fleet => new Map(machines.map((one) => [one.id, one]))

test('a machine is one line: state, age, services, workers, when it was seen, what happened last', () => {
  const failed = eventOf('service.failed', {
    service: 'comfyui-gpu0',
    status: 'waiting',
    error: { message: '"comfyui-gpu0" ended: signal SIGKILL' },
  })
  const machine = applyStatus(after(unknownMachine('box-1'), failed), statusOf(), NOW_MS)
  assert.equal(formatFleet(fleetOf(machine), SURROUNDINGS, LAYOUT), [
    '1 machine: 1 ready   hub:6379   12:00:00 UTC   q ends',
    '',
    'MACHINE  STATE  UP   SERVICES  WORKERS         SEEN  LAST EVENT',
    'box-1    ready  1 h  2/2       2 idle, 1 busy  now   service.failed comfyui-gpu0 waiting: "comfyui-gpu0" ended: signal …',
  ])
})

test('a machine without a status is gone, with the moment it was last seen; one that said goodbye has stopped', () => {
  const seen = applyStatus(unknownMachine('box-1'), statusOf(), NOW_MS - 300_000)
  const gone = applyStatus(seen, null, NOW_MS)
  const stopped = applyStatus(
    { ...after(unknownMachine('box-2'), eventOf('machine.stopped', { status: 'stopped' })), id: 'box-2' },
    null,
    NOW_MS,
  )
  const [header, , , first, second] = formatFleet(fleetOf(gone, stopped), SURROUNDINGS, LAYOUT)
  assert.match(header!, '2 machines: 1 gone, 1 stopped')
  assert.match(first!, /^box-1 +gone +- +2\/2 +- +5 min ago/)
  assert.match(second!, /^box-2 +stopped +- +- +- +1 min ago +machine\.stopped/)
})

test('a status that is older than the events does not undo what they said', () => {
  const degraded = after(unknownMachine('box-1'), eventOf('machine.degraded', { status: 'degraded' }))
  assert.is(applyStatus(degraded, statusOf({ seq: degraded.seq - 1 }), NOW_MS).phase, 'degraded')
  assert.is(applyStatus(degraded, statusOf({ seq: degraded.seq }), NOW_MS).phase, 'ready')
  const told = applyStatus(unknownMachine('box-1'), statusOf(), NOW_MS)
  assert.is(after(told, eventOf('machine.degraded')).phase, 'ready', 'nor do events older than the status')
})

test('a new boot begins with nothing of the one before', () => {
  const raised = eventOf('machine.alarm', { status: 'raised', context: { alarm: 'disk-full:/' } })
  const before = after(unknownMachine('box-1'), raised, eventOf('service.ready', { service: 'old', status: 'ready' }))
  const again = after(before, eventOf('machine.started', { bootId: 'boot-2', status: 'starting' }))
  assert.equal([again.phase, again.services.size, again.alarms.size], ['starting', 0, 0])
  assert.is(again.bootedAtMs, NOW_MS - 60_000, 'by the clock of Redis')
})

test('one machine shows its services with progress and reasons, its alarms, and its newest events', () => {
  const machine = applyStatus(
    after(
      unknownMachine('box-1'),
      eventOf('machine.alarm', { status: 'raised', context: { alarm: 'gpu-hot:1' } }),
      eventOf('service.failed', {
        service: 'comfyui-gpu0',
        gpu: 0,
        status: 'waiting',
        error: { message: 'it ended' },
        context: { restarts: 3 },
      }),
      eventOf('provision.progress', {
        service: 'models',
        progress: {
          item: 'a.safetensors',
          bytes: 2 ** 30,
          totalBytes: 2 ** 31,
          bytesPerSecond: 2 ** 24,
          etaSeconds: 64,
        },
      }),
    ),
    statusOf({ seq: 0, phase: 'starting' }),
    NOW_MS,
  )
  const recent = [{ event: eventOf('health.changed', { status: 'healthy' }), atMs: NOW_MS }]
  assert.equal(formatMachine('box-1', machine, recent, SURROUNDINGS, LAYOUT), [
    'box-1: -   hub:6379   12:00:00 UTC   q ends',
    'up 1 h   2 of 2 services ready   seen now',
    'alarms: gpu-hot:1',
    '',
    'SERVICE       GPU  STATE    RESTARTS  DOES',
    'comfyui-gpu0  0    waiting  3         it ended',
    'models        -    -        0         a.safetensors 1.0 GiB of 2.0 GiB, 16.0 MiB/s, 1 min left',
    '',
    '12:00:00 health.changed healthy',
  ])
  assert.match(formatMachine('box-9', undefined, [], SURROUNDINGS, LAYOUT).join('\n'), 'has not said anything yet')
})

test('where not all fit, those in trouble stay; no picture has more lines than the terminal', () => {
  const machines = Array.from({ length: 60 }, (_, index) => {
    const id = `box-${String(index).padStart(2, '0')}`
    return applyStatus(unknownMachine(id), statusOf({ phase: index === 59 ? 'degraded' : 'ready' }), NOW_MS)
  })
  const lines = formatFleet(fleetOf(...machines), SURROUNDINGS, LAYOUT)
  assert.ok(lines.length < LAYOUT.rows, String(lines.length))
  assert.match(lines.join('\n'), 'box-59')
  assert.match(lines.at(-1)!, /^and \d+ more$/)
})

test('an outage, events that are missing and entries that are none stand above the table', () => {
  const outage = { sinceMs: NOW_MS - 120_000, forMs: 120_000, message: 'cannot reach Redis at hub:6379: gone\u001b[2J' }
  const [, ...notes] = formatFleet(new Map(), { ...SURROUNDINGS, outage, missed: 29, unreadable: 2 }, LAYOUT)
  assert.equal(notes.slice(0, 3), [
    'disconnected since 11:58:00 UTC (2 min): cannot reach Redis at hub:6379: gone·[2J',
    '29 events are missing, the stream does not have them any more',
    '2 entries of the stream are no events',
  ])
})

test('hostile text is shown as text, in colour too, and no line is longer than the terminal', () => {
  const hostile = '\u001b[2J\u009b31m\u202eevil\r\n\u0000\ud800e\u0301'.repeat(300)
  const event = eventOf('service.failed', { service: hostile, status: hostile, error: { message: hostile } })
  const machine = applyStatus(
    after({ ...unknownMachine(hostile) }, event),
    statusOf({ phase: hostile, workers: new Map([[hostile, hostile]]) }),
    NOW_MS,
  )
  const plainLines = [
    ...formatFleet(fleetOf(machine), SURROUNDINGS, LAYOUT),
    ...formatMachine(hostile, machine, [{ event, atMs: NOW_MS }], SURROUNDINGS, LAYOUT),
  ]
  assert.not.match(plainLines.join(''), /[\p{Cc}\p{Cf}\p{Cs}]/u)
  assert.ok(plainLines.every((line) => line.length <= LAYOUT.columns))
  const colored = formatFleet(fleetOf(machine), SURROUNDINGS, { ...LAYOUT, color: true }).join('')
  assert.not.match(colored.replace(/\u001b\[\d+m/g, ''), /\p{Cc}/u)
})

test('a status that anybody wrote is read as far as it makes sense', () => {
  const fields = ['b', 'x', 'ready', 'never', null, '-1', '3', '[1]', '{"a":1,"b":"ready"}']
  const status = readStatus(fields, 12_000)
  assert.equal([status?.seq, status?.upMs, status?.ready, status?.total, status?.ageMs], [0, 0, 0, 3, 18_000])
  assert.equal([...(status?.services ?? [])], [['b', 'ready']])
  assert.is(readStatus([null, null, null], -2), null)
  assert.is(readStatus(new Error('WRONGTYPE'), 1), null)
})

test('moments to begin at, and ids before others', () => {
  for (const [text, since] of [
    ['10m', { kind: 'age', ms: 600_000 }],
    ['2d', { kind: 'age', ms: 172_800_000 }],
    ['0', { kind: 'all' }],
    ['1234', { kind: 'seq', seq: 1234 }],
    ['2026-11-21T12:00:00Z', { kind: 'time', ms: NOW_MS }],
    ['yesterday', null],
    ['-5m', null],
    ['', null],
  ] as const) {
    assert.equal(parseSince(text), since, text)
  }
  assert.equal(['5-3', '5-0', '0-0'].map(idBefore), ['5-2', '4-18446744073709551615', '0-0'])
})

test.run()
