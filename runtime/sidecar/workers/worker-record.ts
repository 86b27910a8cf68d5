/** What Redis says of a job worker. All times are ms since 1970, by the clock of this host, which is also the worker's. */
export interface WorkerRecord {
  /** Its last word of itself: `idle`, `busy`, `offline`, `error`, `initializing`, ...; `null` before the first. */
  readonly status: string | null
  readonly saidAtMs: number | null
  readonly currentJob: string | null
  /** Jobs that it has ended, well or not, for as long as it is followed. */
  readonly jobsProcessed: number
  readonly version: string | null
  readonly buildTimestamp: string | number | null
  readonly buildInfo: string | null
  /** What it says of what its jobs run on, by the name of the connector. */
  readonly connectors: Readonly<Record<string, ConnectorWord>>
  /** The time in its last heartbeat that was seen. */
  readonly heartbeatAtMs: number | null
  /** Its heartbeat has ended although Redis was there all the time. */
  readonly isSilent: boolean
}

export interface ConnectorWord {
  readonly status: string
  readonly health: string
}

export const UNHEARD_WORKER: WorkerRecord = {
  status: null,
  saidAtMs: null,
  currentJob: null,
  jobsProcessed: 0,
  version: null,
  buildTimestamp: null,
  buildInfo: null,
  connectors: {},
  heartbeatAtMs: null,
  isSilent: false,
}

type Fields = Readonly<Record<string, unknown>>

/** A message on `machine:<id>:worker:<worker>`; `null` for what is none. */
export function readWorkerMessage(text: string): { readonly type: string; readonly data: Fields } | null {
  let message: unknown
  try {
    message = JSON.parse(text)
  } catch {
    return null
  }
  if (!isFields(message) || typeof message.event_type !== 'string') return null
  return { type: message.event_type, data: isFields(message.data) ? message.data : {} }
}

/** The record after a message of the worker. Messages of other kinds still show that it lives. */
export function hearWorker(record: WorkerRecord, type: string, data: Fields, nowMs: number): WorkerRecord {
  const heard = { ...record, saidAtMs: nowMs, isSilent: false }
  switch (type) {
    case 'worker_registered':
    case 'worker_connected':
      return { ...heard, status: textOf(data.status) ?? record.status ?? 'idle', ...buildOf(record, data) }
    case 'worker_status_changed':
      return withJob(
        { ...heard, ...buildOf(record, data) },
        textOf(data.status) ?? 'unknown',
        textOf(data.current_job_id),
      )
    case 'job_started':
      return withJob(heard, 'busy', textOf(data.job_id))
    case 'job_completed':
    case 'job_failed':
      return withJob(heard, 'idle', null)
    case 'connector_status_changed':
      return { ...heard, connectors: { ...record.connectors, ...connectorOf(data) } }
    default:
      return heard
  }
}

/** The record with another job, or none: the one before has ended then, whether or not its end was heard. */
function withJob(record: WorkerRecord, status: string, job: string | null): WorkerRecord {
  const currentJob = status === 'idle' || status === 'offline' ? null : (job ?? record.currentJob)
  const hasEnded = record.currentJob !== null && record.currentJob !== currentJob
  return { ...record, status, currentJob, jobsProcessed: record.jobsProcessed + Number(hasEnded) }
}

function buildOf(record: WorkerRecord, data: Fields) {
  const { build_timestamp: stamp } = data
  return {
    version: textOf(data.version) ?? record.version,
    buildTimestamp: typeof stamp === 'number' ? stamp : (textOf(stamp) ?? record.buildTimestamp),
    buildInfo: textOf(data.build_info) ?? record.buildInfo,
  }
}

function connectorOf(data: Fields): Record<string, ConnectorWord> {
  const name = textOf(data.service_type)
  if (name === null) return {}
  return { [name]: { status: textOf(data.status) ?? 'unknown', health: textOf(data.health) ?? 'unknown' } }
}

/** What was read of the keys `worker:<id>` and `worker:<id>:heartbeat`. */
export interface WorkerKeys {
  readonly hash: Readonly<Record<string, string | null>>
  readonly heartbeat: string | null
}

/** Fields of the hash that tell of the worker. */
export const HASH_FIELDS = [
  'status',
  'current_job_id',
  'last_status_change',
  'last_activity',
  'total_jobs_completed',
  'total_jobs_failed',
] as const

export interface WhatIsKnown {
  readonly nowMs: number
  /** Since when Redis has been there without a break. */
  readonly connectedSinceMs: number
  /** The worker has spoken for itself since then. The hash then says what others made of older words, these included. */
  readonly hasSpoken: boolean
  /** After so long without a heartbeat the worker is not there any more: the life of the key. */
  readonly heartbeatMs: number
}

/** The record after its keys were read. */
export function readWorkerKeys(
  record: WorkerRecord,
  { hash, heartbeat }: WorkerKeys,
  known: WhatIsKnown,
): WorkerRecord {
  const beatMs = timeOf(heartbeat) ?? record.heartbeatAtMs
  const isMissing = heartbeat === null || known.nowMs - (beatMs ?? known.nowMs) > known.heartbeatMs
  const aliveAtMs = Math.max(beatMs ?? 0, known.connectedSinceMs, record.saidAtMs ?? 0)
  const isSilent = isMissing && beatMs !== null && known.nowMs - aliveAtMs > known.heartbeatMs
  const seen = { ...record, heartbeatAtMs: beatMs, isSilent }
  const status = textOf(hash.status)
  if (known.hasSpoken || status === null) return seen
  const saidAtMs = timeOf(hash.last_status_change) ?? timeOf(hash.last_activity) ?? record.saidAtMs ?? known.nowMs
  const total = countOf(hash.total_jobs_completed) + countOf(hash.total_jobs_failed)
  const told = withJob({ ...seen, saidAtMs }, status, textOf(hash.current_job_id))
  return { ...told, jobsProcessed: Math.max(told.jobsProcessed, total) }
}

/**
 * Whether a run of the worker that began at a time is ready, by what it said: its own word first, then that its heart
 * beats. Words of an earlier run count for nothing.
 */
export function isWorkerReady(record: WorkerRecord | undefined, launchedAtMs: number): boolean | null {
  if (record === undefined) return null
  const beats = (record.heartbeatAtMs ?? 0) >= launchedAtMs
  const speaks = (record.saidAtMs ?? 0) >= launchedAtMs
  if (record.isSilent && (beats || speaks)) return false
  if (speaks && record.status !== null && record.status !== 'unknown') return WORKING.has(record.status)
  return beats ? true : null
}

const WORKING: ReadonlySet<string> = new Set(['idle', 'busy'])

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A text that says something; JSON that was written as text has the words `null` and `undefined`. */
function textOf(value: unknown): string | null {
  return typeof value === 'string' && !['', 'null', 'undefined'].includes(value) ? value : null
}

/** A time as ISO text, or as ms since 1970 in digits. */
function timeOf(value: string | null | undefined): number | null {
  const text = textOf(value)
  if (text === null) return null
  const ms = /^\d{12,14}$/.test(text) ? Number(text) : Date.parse(text)
  return Number.isFinite(ms) ? ms : null
}

function countOf(value: string | null | undefined): number {
  const count = Number(value ?? 0)
  return Number.isSafeInteger(count) && count > 0 ? count : 0
}
