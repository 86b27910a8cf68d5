import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { EVENT_TYPES, WORKER_STATES } from '../../runtime/shared/machine-event.ts'
import { STATES } from '../../runtime/shared/service-state.ts'
import { numberEvent } from '../../runtime/sidecar/events/journal-record.ts'
import { eventFlaw, eventSchema } from './event-schema.ts'

const origin = { bootId: 'b', machine: 'm' }
const enumFor = (type: string): string[] =>
  eventSchema.allOf.find((rule: { if: { properties: { type: { const?: string; pattern?: string } } } }) => {
    const { type: fits } = rule.if.properties
    return fits.const === type || fits.pattern === type
  }).then.properties.status.enum

test('the schema and the types of events say the same', () => {
  assert.equal(eventSchema.properties.type.enum, [...EVENT_TYPES])
  assert.equal(enumFor('worker.state'), [...WORKER_STATES])
  assert.equal(enumFor('^service\\.'), [...STATES])
  const full = numberEvent(
    {
      type: 'operator.action',
      service: 's',
      gpu: 0,
      worker: 'w',
      status: 'x',
      progress: {},
      error: { message: '' },
      context: {},
    },
    1,
    0,
    origin,
  )
  assert.equal(Object.keys(full), Object.keys(eventSchema.properties), 'in the same order, too')
})

test('an event needs all that its type promises', () => {
  const flawOf = (draft: Record<string, unknown>) =>
    eventFlaw({ v: 1, bootId: 'b', seq: 1, at: '2026-01-01T00:00:00.000Z', machine: 'm', ...draft })
  assert.is(flawOf({ type: 'machine.ready' }), null)
  assert.is(flawOf({ type: 'service.ready', service: 's', status: 'ready' }), null)
  assert.is.not(flawOf({ type: 'service.ready', service: 's' }), null)
  assert.is.not(flawOf({ type: 'service.failed', service: 's', status: 'waiting' }), null, 'no error')
  assert.is.not(flawOf({ type: 'worker.state', service: 's', worker: 'w', status: 'sleeping' }), null)
  assert.is.not(flawOf({ type: 'machine.alarm', status: 'raised', context: {} }), null)
  assert.is.not(flawOf({ type: 'provision.progress' }), null)
  assert.is.not(flawOf({ type: 'events.lost', context: { count: 0, firstSeq: 1, lastSeq: 1 } }), null)
  assert.is.not(flawOf({ type: 'no.such' }), null)
  assert.is.not(flawOf({ type: 'machine.ready', secret: 1 }), null)
  assert.is.not(flawOf({ type: 'machine.ready', at: 'yesterday' }), null)
})

test.run()
