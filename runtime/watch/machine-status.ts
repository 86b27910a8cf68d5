import type { RedisConnection } from '../sidecar/events/redis-connection.ts'
import { STATUS_TTL_SECONDS, statusKey } from '../sidecar/events/redis-voice.ts'
import { readTime } from './follow-stream.ts'
import { isRecord } from './stream-entry.ts'

/** What the status hash of a machine says. */
export interface MachineStatus {
  readonly bootId: string
  /** Of the newest event that it knows. */
  readonly seq: number
  readonly phase: string
  /** How long ago it was said, by its time to live: no clock of a machine is asked. */
  readonly ageMs: number
  /** How long the machine ran when it was said, by its own clock. */
  readonly upMs: number
  readonly ready: number
  readonly total: number
  readonly workers: ReadonlyMap<string, string>
  readonly services: ReadonlyMap<string, string>
}

export interface Statuses {
  /** The clock of Redis when they were read. */
  readonly nowMs: number
  /** `null`: the machine has none. */
  readonly statuses: ReadonlyMap<string, MachineStatus | null>
}

const FIELDS = [
  'boot_id',
  'seq',
  'state',
  'at',
  'started_at',
  'services_ready',
  'services_total',
  'workers',
  'services',
]

/** Machines asked for at once. */
const BATCH = 500

export async function readStatuses(open: RedisConnection, machines: readonly string[]): Promise<Statuses> {
  const statuses = new Map<string, MachineStatus | null>()
  let nowMs = 0
  for (let first = 0; first === 0 || first < machines.length; first += BATCH) {
    const batch = machines.slice(first, first + BATCH)
    const commands = batch.flatMap((id) => [
      ['hmget', statusKey(id), ...FIELDS] as const,
      ['pttl', statusKey(id)] as const,
    ])
    const [time, ...replies] = await open.send([['time'], ...commands])
    if (time instanceof Error) throw time
    nowMs = readTime(time)
    for (const [index, id] of batch.entries()) {
      const [fields, ttl] = replies.slice(index * 2, index * 2 + 2)
      if (fields instanceof Error && !fields.message.startsWith('WRONGTYPE')) throw fields
      statuses.set(id, readStatus(fields, ttl))
    }
  }
  return { nowMs, statuses }
}

/** A status from the replies to HMGET and PTTL; `null` where there is none. Anybody may have written it. */
export function readStatus(fields: unknown, ttlMs: unknown): MachineStatus | null {
  if (!Array.isArray(fields)) return null
  const [bootId, seq, phase, at, startedAt, ready, total, workers, services] = fields as readonly (string | null)[]
  if (typeof bootId !== 'string' || typeof phase !== 'string') return null
  const upMs = Date.parse(at ?? '') - Date.parse(startedAt ?? '')
  return {
    bootId,
    seq: count(seq),
    phase,
    ageMs: typeof ttlMs === 'number' && ttlMs >= 0 ? Math.max(0, STATUS_TTL_SECONDS * 1000 - ttlMs) : 0,
    upMs: Number.isFinite(upMs) ? Math.max(0, upMs) : 0,
    ready: count(ready),
    total: count(total),
    workers: readWords(workers),
    services: readWords(services),
  }
}

function count(text: string | null | undefined): number {
  const value = Number(text)
  return Number.isSafeInteger(value) && value >= 0 ? value : 0
}

const MOST_WORDS = 2000

function readWords(text: string | null | undefined): ReadonlyMap<string, string> {
  try {
    const value: unknown = JSON.parse(text ?? '{}')
    const entries = isRecord(value) ? Object.entries(value).slice(0, MOST_WORDS) : []
    return new Map(entries.flatMap(([name, word]) => (typeof word === 'string' ? [[name, word] as const] : [])))
  } catch {
    return new Map()
  }
}

const KEY = /^machine:(.+):status$/s
/** A Redis that holds much else is searched in steps that do not keep it from its work. */
const SCAN_STEP = 1000
const MOST_STEPS = 2000

/** Ids of all machines that have a status now; none where the user may not search. */
export async function findMachines(open: RedisConnection): Promise<string[]> {
  const found = new Set<string>()
  let cursor = '0'
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const [reply] = await open.send([['scan', cursor, 'MATCH', statusKey('*'), 'COUNT', SCAN_STEP]])
    if (!Array.isArray(reply)) break
    const [next, keys] = reply as [string, string[]]
    for (const key of keys) {
      const id = KEY.exec(key)?.[1]
      if (id !== undefined) found.add(id)
    }
    cursor = next
    if (cursor === '0') break
  }
  return [...found]
}
