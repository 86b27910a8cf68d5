import { mkdirSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { describeExit } from '../../runtime/shared/process-exit.ts'
import { isSupervised, sendControl } from '../../runtime/shared/service-control.ts'
import { decodeStatus } from '../../runtime/shared/supervise-status.ts'
import { readTai64n } from '../../runtime/shared/tai64n.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const FLAGS = { paused: 1, finishing: 2, wantUp: 4, ready: 8 }

/** 2025-11-21 18:22:39 UTC as s6-supervise 2.11 wrote it, next to `date`. */
const STAMP = '400000006b01e18f202cab3b'
const STAMP_MS = (0x6b01e18f - 37) * 1000 + 0x202cab3b / 1e6

interface Written {
  pid?: number
  pgid?: number
  waitStatus?: number
  flags?: number
}

function statusBytes({ pid = 0, pgid, waitStatus = 0, flags = 0 }: Written): Buffer {
  const bytes = Buffer.alloc(pgid === undefined ? 35 : 43)
  bytes.write(STAMP, 0, 'hex')
  bytes.write(STAMP, 12, 'hex')
  bytes.writeBigUInt64BE(BigInt(pid), 24)
  if (pgid !== undefined) bytes.writeBigUInt64BE(BigInt(pgid), 32)
  bytes.writeUInt16BE(waitStatus, bytes.length - 3)
  bytes.writeUInt8(flags, bytes.length - 1)
  return bytes
}

test('a TAI64N label is read to the nanosecond that fits in a number of milliseconds', () => {
  assert.is(readTai64n(Buffer.from(STAMP, 'hex'), 0), STAMP_MS)
  assert.is(readTai64n(Buffer.from('400000000000000a00000000', 'hex'), 0), 0, 'the label for never')
})

test('the bytes that s6 2.11 wrote for a running service are read', () => {
  const bytes = Buffer.from('400000006b01e18f202cab3b400000006b01e18f200243bc0000000000004c83000004', 'hex')
  const status = decodeStatus(bytes)
  assert.equal(status, {
    changedAtMs: STAMP_MS,
    readyAtMs: (0x6b01e18f - 37) * 1000 + 0x200243bc / 1e6,
    pid: 19587,
    pgid: null,
    up: true,
    announcedReady: false,
    paused: false,
    finishing: false,
    wantUp: true,
    lastExit: { kind: 'exit', code: 0 },
  })
})

const TABLE: { title: string; written: Written; up: boolean; ready?: boolean; exit?: string }[] = [
  { title: 'up', written: { pid: 7, flags: FLAGS.wantUp }, up: true },
  { title: 'up and ready', written: { pid: 7, flags: FLAGS.wantUp | FLAGS.ready }, up: true, ready: true },
  { title: 'finishing is not up', written: { pid: 8, flags: FLAGS.wantUp | FLAGS.finishing }, up: false },
  { title: 'ready without a process means that it can be started', written: { flags: FLAGS.ready }, up: false },
  { title: 'an exit code', written: { waitStatus: 3 << 8 }, up: false, exit: 'exit code 3' },
  { title: 'a signal', written: { waitStatus: 9 }, up: false, exit: 'signal SIGKILL' },
  { title: 'a signal with a core dump', written: { waitStatus: 0x80 | 11 }, up: false, exit: 'signal SIGSEGV' },
]

for (const { title, written, up, ready = false, exit } of TABLE) {
  for (const pgid of [undefined, 7]) {
    test(`status of ${pgid === undefined ? 35 : 43} bytes: ${title}`, () => {
      const status = decodeStatus(statusBytes({ ...written, ...(pgid === undefined ? {} : { pgid }) }))
      assert.ok(status)
      assert.is(status.up, up)
      assert.is(status.announcedReady, ready)
      assert.is(status.pgid, pgid ?? null)
      if (exit !== undefined) assert.is(describeExit(status.lastExit), exit)
    })
  }
}

test('a torn, short or foreign status is no status', () => {
  for (const length of [0, 1, 34, 36, 42, 44, 4096])
    assert.is(decodeStatus(Buffer.alloc(length)), null, `${length} bytes`)
})

test('any bytes are read without an error, and mean something only in the two lengths that s6 writes', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.uint8Array({ minLength: 35, maxLength: 35 }),
    fc.uint8Array({ minLength: 43, maxLength: 43 }),
  )
  fc.assert(
    fc.property(bytes, (written) => {
      const status = decodeStatus(written)
      assert.is(status === null, written.length !== 35 && written.length !== 43)
      if (status === null) return
      assert.ok(Number.isFinite(status.changedAtMs) && Number.isFinite(status.readyAtMs) && status.pid >= 0)
      assert.not(status.up && status.finishing)
      assert.ok(!status.announcedReady || status.up)
      describeExit(status.lastExit)
    }),
    { numRuns: 2000 },
  )
})

test('a status cut anywhere is no status, or another whole one', () => {
  const whole = statusBytes({ pid: 7, pgid: 7, flags: FLAGS.wantUp })
  for (let length = 0; length < whole.length; length += 1)
    assert.is(decodeStatus(whole.subarray(0, length)) === null, length !== 35, `${length} bytes`)
})

test('a view into a larger buffer is read from its own start', () => {
  const padded = Buffer.concat([Buffer.alloc(5, 0xff), statusBytes({ pid: 7, flags: FLAGS.wantUp })])
  assert.is(decodeStatus(padded.subarray(5))?.pid, 7)
})

test('an order to a directory that nobody supervises is refused without blocking', () => {
  const directory = temporaryDirectory()
  assert.is(sendControl(directory, 'r'), 'not-supervised')
  assert.not(isSupervised(directory))
  mkdirSync(`${directory}/supervise`)
  writeFileSync(`${directory}/supervise/lock`, '')
  assert.is(sendControl(directory, 'r'), 'not-supervised')
})

test.run()
