import assert from 'node:assert/strict'
import { test } from 'uvu'
import { bindAddress } from '../../generator/plan/addresses.ts'
import { backoffDelaysMs } from '../../generator/plan/restart-budget.ts'

const budget = (maxAttempts: number, initialMs: number, maxMs: number, factor: number) => ({
  maxAttempts,
  windowMs: 600_000,
  backoff: { initialMs, maxMs, factor },
})

test('pauses grow by the factor up to the longest, less the second that the supervisor waits itself', () => {
  assert.deepEqual(backoffDelaysMs(budget(8, 1000, 10_000, 2)), [0, 0, 1000, 3000, 7000, 9000])
  assert.deepEqual(backoffDelaysMs(budget(3, 5000, 30_000, 1.5)), [0, 4000, 6500])
})

test('a pause that stays the same stands once, however many deaths are allowed', () => {
  assert.deepEqual(backoffDelaysMs(budget(4096, 5000, 30_000, 1)), [0, 4000])
  assert.deepEqual(backoffDelaysMs(budget(4096, 0, 30_000, 10)), [0])
  assert.deepEqual(backoffDelaysMs(budget(1, 1000, 30_000, 2)), [0])
})

test('a laptop offers nothing to the network, however the wildcard is spelt', () => {
  for (const listen of ['::', '[::]', '::0', '0:0:0:0:0:0:0:0']) assert.equal(bindAddress(listen, 'local'), '::1')
  assert.equal(bindAddress('0.0.0.0', 'local'), '127.0.0.1')
  assert.equal(bindAddress('::1', 'local'), '::1')
  assert.equal(bindAddress('fe80::', 'local'), 'fe80::')
})

test.run()
