import type { MachineEvent } from '../shared/machine-event.ts'

/** One entry of an event stream; `event` is `null` where the entry holds none. */
export interface StreamEntry {
  readonly id: string
  readonly event: MachineEvent | null
}

/** Before the first entry of any stream. */
export const STREAM_START = '0-0'

const LARGEST_PART = 2n ** 64n - 1n

/** The last moment that a date can be. */
const LATEST_MS = 8.64e15

/** When Redis took the entry, by the clock of Redis, in ms. */
export function arrivalMs(id: string): number {
  return Math.min(LATEST_MS, Number(id.split('-', 1)[0]))
}

const partsOf = (id: string): readonly [bigint, bigint] => {
  const [ms = '0', count = '0'] = id.split('-')
  return [BigInt(ms), BigInt(count)]
}

/** Negative where the first comes before the second. */
export function compareIds(a: string, b: string): number {
  const [[aMs, aCount], [bMs, bCount]] = [partsOf(a), partsOf(b)]
  const difference = aMs === bMs ? aCount - bCount : aMs - bMs
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** The largest id before this one: ranges without it need no Redis newer than 5. */
export function idBefore(id: string): string {
  const [ms, count] = partsOf(id)
  if (count > 0n) return `${ms}-${count - 1n}`
  return ms > 0n ? `${ms - 1n}-${LARGEST_PART}` : STREAM_START
}

/** The entries of a reply to XRANGE or XREVRANGE, in its order. Whoever may write to a stream may write anything. */
export function readEntries(reply: unknown): StreamEntry[] {
  if (!Array.isArray(reply)) return []
  return (reply as readonly [string, readonly string[] | null][]).map(([id, fields]) => {
    const text = fields?.[fields.findIndex((name, index) => index % 2 === 0 && name === 'event') + 1]
    return { id, event: fields?.includes('event') ? parseEvent(text ?? '') : null }
  })
}

/** The entries of a reply to XREAD of one stream. */
export function readFollowed(reply: unknown): StreamEntry[] {
  return Array.isArray(reply) ? readEntries((reply as readonly [string, unknown][])[0]?.[1]) : []
}

/** An event of any version whose facts have the types that they must have; types and fields that nobody knows stay. */
export function parseEvent(text: string): MachineEvent | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  return isEvent(value) ? value : null
}

const LONGEST_ID = 256

function isEvent(value: unknown): value is MachineEvent {
  if (!isRecord(value)) return false
  const { machine, bootId, seq, at, type, gpu, progress, error, context } = value
  return (
    [machine, bootId, type].every(isIdentifier) &&
    Number.isSafeInteger(seq) &&
    (seq as number) > 0 &&
    typeof at === 'string' &&
    !Number.isNaN(Date.parse(at)) &&
    [value.service, value.worker, value.status].every((text) => text === undefined || typeof text === 'string') &&
    (gpu === undefined || typeof gpu === 'number') &&
    (progress === undefined || isProgress(progress)) &&
    (error === undefined || (isRecord(error) && typeof error.message === 'string')) &&
    (context === undefined || isRecord(context))
  )
}

const isIdentifier = (value: unknown) => typeof value === 'string' && value !== '' && value.length <= LONGEST_ID

function isProgress(value: unknown): boolean {
  return (
    isRecord(value) &&
    Object.entries(value).every(([name, fact]) => typeof fact === (name === 'item' ? 'string' : 'number'))
  )
}

/** An object that is no list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
