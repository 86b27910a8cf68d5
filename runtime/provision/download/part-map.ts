import { readFileSync, statSync } from 'node:fs'
import { writeFileAtomically } from '../../shared/atomic-file.ts'

/** What a part is a part of. Another of any of these is another file. */
export interface PartIdentity {
  /** Names the source and what is wanted from it. */
  readonly source: string
  readonly sizeBytes: number
  /** The source's own word for this version (ETag, date); `null` where it has none. */
  readonly validator: string | null
}

/** A stretch of the file that is fetched in one piece: `done` of the bytes from `start` up to `end` are there. */
export interface Segment {
  readonly slot: number
  readonly start: number
  end: number
  done: number
}

/** What is known of the bytes of a part: whose they are, and which of them are there. */
export interface PartMap {
  readonly identity: PartIdentity
  readonly segments: readonly Segment[]
  /** It was written before this boot: what was not synced then does not count, and the map is to be written anew. */
  readonly isOld: boolean
}

/**
 * The file of a map: a line of JSON in the first 4 KiB, then a slot for each segment with four numbers of 8 bytes. Each
 * number is written alone, and so never half.
 */
export const partPath = (target: string): string => `${target}.part`
export const mapPath = (target: string): string => `${target}.part.map`

export const MAX_SLOTS = 128
const HEADER_BYTES = 4096
const SLOT_BYTES = 32
export const NUMBER_BYTES = 8

export type SlotField = 'start' | 'end' | 'done' | 'synced'
const FIELDS: readonly SlotField[] = ['start', 'end', 'done', 'synced']

/** Where a number of a slot stands in the file. */
export function placeOf(slot: number, field: SlotField): number {
  return HEADER_BYTES + slot * SLOT_BYTES + FIELDS.indexOf(field) * NUMBER_BYTES
}

interface Header extends PartIdentity {
  readonly v: 1
  readonly boot: string
}

export function isSameFile(a: PartIdentity, b: PartIdentity): boolean {
  return a.source === b.source && a.sizeBytes === b.sizeBytes && a.validator === b.validator
}

export function writeMap(target: string, identity: PartIdentity, segments: readonly Segment[]): void {
  const { source, sizeBytes, validator } = identity
  const header: Header = { v: 1, source, sizeBytes, validator, boot: bootId() }
  const text = JSON.stringify(header)
  if (Buffer.byteLength(text) >= HEADER_BYTES) {
    throw new Error(`cannot note where "${target}" comes from: it is too long`)
  }
  const file = Buffer.alloc(HEADER_BYTES + MAX_SLOTS * SLOT_BYTES)
  file.write(`${text}\n`)
  for (const segment of segments) slotBytes(segment, segment.done).copy(file, placeOf(segment.slot, 'start'))
  writeFileAtomically(mapPath(target), file, 0o644)
}

export function slotBytes({ start, end, done }: Segment, synced: number): Buffer {
  const slot = Buffer.alloc(SLOT_BYTES)
  for (const [index, value] of [start, end, done, synced].entries()) {
    slot.writeBigUInt64LE(BigInt(value), index * NUMBER_BYTES)
  }
  return slot
}

/** `null` for a map that is not there, not whole, or has no file of its size beside it. */
export function readMap(target: string): PartMap | null {
  try {
    const file = readFileSync(mapPath(target))
    const header = JSON.parse(file.toString('utf8', 0, file.indexOf(10))) as Header
    if (header.v !== 1 || statSync(partPath(target)).size !== header.sizeBytes) return null
    const isOld = header.boot !== bootId()
    const segments = withoutOverlaps(readSlots(file, isOld ? 'synced' : 'done'))
    const isWhole = segments.every(({ start, end }) => start <= end && end <= header.sizeBytes)
    return isWhole ? { identity: header, segments, isOld } : null
  } catch {
    return null
  }
}

function readSlots(file: Buffer, done: 'done' | 'synced'): Segment[] {
  const segments: Segment[] = []
  for (let slot = 0; slot < MAX_SLOTS; slot += 1) {
    const read = (field: SlotField) => Number(file.readBigUInt64LE(placeOf(slot, field)))
    const [start, end] = [read('start'), read('end')]
    if (end === 0) break
    segments.push({ slot, start, end, done: Math.min(end - start, read(done)) })
  }
  return segments
}

/** A kill in the middle of a split leaves two segments with the same bytes: they belong to the later one. */
function withoutOverlaps(segments: readonly Segment[]): Segment[] {
  return segments.map((segment) => {
    const starts = segments.filter((other) => other.start > segment.start).map((other) => other.start)
    const end = Math.min(segment.end, ...starts)
    return { ...segment, end, done: Math.min(segment.done, end - segment.start) }
  })
}

let knownBootId: string | null = null

function bootId(): string {
  knownBootId ??= readBootId()
  return knownBootId
}

function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    // Where nothing tells one boot from another, only what was synced counts.
    return `${process.pid}-${Date.now()}`
  }
}
