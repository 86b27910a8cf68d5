import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  hearWorker,
  isWorkerReady,
  readWorkerKeys,
  readWorkerMessage,
  UNHEARD_WORKER,
  type WorkerKeys,
  type WorkerRecord,
} from '../../runtime/sidecar/workers/worker-record.ts'

type Word = readonly [type: string, data: Record<string, unknown>]

const status = (name: string, job: string | null = null): Word => [
  'worker_status_changed',
  { status: name, current_job_id: job },
]

const hearAll = (words: readonly Word[], from: WorkerRecord = UNHEARD_WORKER) =>
  words.reduce((record, [type, data], index) => hearWorker(record, type, data, 1000 + index), from)

test('jobs count once each, whatever order their words come in and whichever of them are lost', () => {
  const stories: readonly (readonly [number, readonly Word[]])[] = [
    [0, [status('idle'), status('busy', 'a')]],
    [1, [status('busy', 'a'), ['job_started', { job_id: 'a' }], ['job_completed', {}], status('idle')]],
    [1, [status('busy', 'a'), status('idle'), ['job_completed', { service_type: 'comfyui' }]]],
    [
      1,
      [
        ['job_started', { job_id: 'a' }],
        ['job_failed', { service_type: 'comfyui' }],
      ],
    ],
    [1, [status('busy', 'a'), status('busy', 'b')]],
    [2, [status('busy', 'a'), status('busy', 'b'), status('offline')]],
    [0, [['connector_status_changed', { service_type: 'comfyui', status: 'active', health: 'healthy' }]]],
  ]
  for (const [count, words] of stories) assert.is(hearAll(words).jobsProcessed, count, JSON.stringify(words))
  assert.is(hearAll(stories[0]![1]).currentJob, 'a')
  assert.equal(hearAll(stories[6]![1]).connectors, { comfyui: { status: 'active', health: 'healthy' } })
})

test('what a worker is built of is remembered, and messages that are none change nothing', () => {
  const word: Word = ['worker_status_changed', { status: 'idle', version: '1.2', build_timestamp: 5, build_info: 'x' }]
  const { version, buildTimestamp, buildInfo } = hearAll([word, status('busy', 'a')])
  assert.equal([version, buildTimestamp, buildInfo], ['1.2', 5, 'x'])
  for (const text of ['', '{', '[]', '"x"', 'null', '{"event_type":1}']) assert.is(readWorkerMessage(text), null)
  assert.equal(readWorkerMessage('{"event_type":"x","data":[]}'), { type: 'x', data: {} })
})

const keys = (hash: Record<string, string> = {}, heartbeatMs: number | null = null): WorkerKeys => ({
  hash,
  heartbeat: heartbeatMs === null ? null : new Date(heartbeatMs).toISOString(),
})
const BASE = Date.parse('2026-01-01T00:00:00Z')
const known = (nowMs: number, hasSpoken = false) => ({
  nowMs: BASE + nowMs,
  connectedSinceMs: BASE,
  hasSpoken,
  heartbeatMs: 65_000,
})

test('the hash tells of a worker that nobody heard, and nothing of one that spoke since', () => {
  const busy = keys({ status: 'busy', current_job_id: 'a', total_jobs_completed: '3', total_jobs_failed: '1' })
  const read = readWorkerKeys(UNHEARD_WORKER, busy, known(10))
  assert.equal([read.status, read.currentJob, read.jobsProcessed], ['busy', 'a', 4])
  const spoke = hearAll([status('idle')])
  assert.is(readWorkerKeys(spoke, busy, known(10, true)).status, 'idle', 'others wrote it after an older word')
  assert.is(readWorkerKeys(read, keys({ status: 'idle', current_job_id: '' }), known(20)).currentJob, null)
  assert.is(
    readWorkerKeys(UNHEARD_WORKER, keys({ status: 'idle', current_job_id: 'null' }), known(20)).currentJob,
    null,
  )
})

test('a heart that stops is seen, but not where Redis or its data were away', () => {
  const beating = readWorkerKeys(UNHEARD_WORKER, keys({}, BASE + 1000), known(2000))
  assert.is(isWorkerReady(beating, BASE), true)
  assert.is(isWorkerReady(beating, BASE + 5000), null, 'that was the run before')
  const gone = (nowMs: number, more = {}) => readWorkerKeys(beating, keys(), { ...known(nowMs), ...more })
  assert.is(gone(30_000).isSilent, false, 'Redis came back empty')
  assert.is(gone(70_000).isSilent, true)
  assert.is(isWorkerReady(gone(70_000), BASE), false)
  assert.is(gone(600_000, { connectedSinceMs: BASE + 590_000 }).isSilent, false, 'Redis was away')
  assert.is(readWorkerKeys(beating, keys({}, BASE + 1000), known(70_000)).isSilent, true, 'the key outlived its time')
  assert.is(readWorkerKeys(UNHEARD_WORKER, keys(), known(70_000)).isSilent, false, 'a worker that never had one')
  const back = readWorkerKeys(gone(70_000), keys({}, BASE + 71_000), known(72_000))
  assert.is(isWorkerReady(back, BASE), true)
})

test('a run of a worker is ready by its own words, and only by those', () => {
  assert.is(isWorkerReady(undefined, 0), null)
  for (const [name, ready] of [
    ['idle', true],
    ['busy', true],
    ['initializing', false],
    ['error', false],
    ['offline', false],
    ['unknown', null],
  ] as const) {
    assert.is(isWorkerReady(hearAll([status(name)]), 1000), ready, name)
    assert.is(isWorkerReady(hearAll([status(name)]), 1001), null, 'said before that run')
  }
})

test.run()
