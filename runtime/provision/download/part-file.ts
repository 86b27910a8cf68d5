import {
  closeSync,
  existsSync,
  fdatasync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  write,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
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

/**
 * A file that is being fetched: `<target>.part` of its full size, and beside it a map of what is there. The map is
 * written after the data it tells of, one number at each write, so that a process that is killed loses nothing that it
 * had written. What a machine that lost its power may still have had in memory is told apart: after another boot only
 * what was synced counts.
 */
export interface PartFile {
  readonly segments: readonly Segment[]
  readonly bytesDone: () => number
  /** Bytes from the start of the file without a gap. */
  readonly frontier: () => number
  /** Puts bytes behind those that a segment has; one call at a time for each. They are there when it resolves. */
  readonly write: (segment: Segment, bytes: Buffer) => Promise<void>
  /** Cuts a segment in two; gives the new, later one. `null` where it is full. */
  readonly split: (segment: Segment, at: number) => Segment | null
  /** Brings all bytes to the disk, gives the file its name, and forgets the map. */
  readonly install: (target: string) => Promise<void>
  readonly close: () => void
}

/** Gigabytes may still be on their way to the disk: others go on meanwhile. */
const toDisk = promisify(fsync)

/** Beside this thread: while bytes are copied to the disk, the next ones come in. Gives how many were written. */
function writeAt(descriptor: number, bytes: Buffer, at: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, at, bytes.length - at, position, (error, written) => {
      if (error === null) resolve(written)
      else reject(error)
    })
  })
}

const HEADER_BYTES = 4096
const SLOT_BYTES = 32
const MAX_SLOTS = 128
const SYNC_INTERVAL_MS = 3000

interface Header extends PartIdentity {
  readonly v: 1
  readonly boot: string
}

export const partPath = (target: string): string => `${target}.part`
const mapPath = (target: string): string => `${target}.part.map`

/** What is there of this file already. */
export function bytesInPart(target: string, identity: PartIdentity): number {
  const map = readMap(target)
  if (map === null || !isSame(map.header, identity)) return 0
  return map.segments.reduce((sum, { done }) => sum + done, 0)
}

export function discardPart(target: string): void {
  for (const path of [mapPath(target), partPath(target)]) rmSync(path, { force: true })
}

/**
 * Continues the part of this identity, or begins one: with a segment for the first bytes, where they are on their way, and
 * so many for the others.
 */
export function openPart(target: string, identity: PartIdentity, segmentCount: number, firstBytes = 0): PartFile {
  const known = readMap(target)
  const canContinue = known !== null && isSame(known.header, identity)
  const segments = canContinue ? known.segments : layOut(identity.sizeBytes, segmentCount, firstBytes)
  if (!canContinue) {
    discardPart(target)
    const data = openSync(partPath(target), 'w', 0o644)
    ftruncateSync(data, identity.sizeBytes)
    closeSync(data)
    writeMap(target, { v: 1, ...pick(identity), boot: bootId() }, segments)
  } else if (known.header.boot !== bootId()) {
    writeMap(target, { ...known.header, boot: bootId() }, segments)
  }
  return keepPart(target, segments)
}

/** A part that was written whole, without a map: from a source that can only send all of it. */
export function adoptPart(target: string, source: string, sizeBytes: number): PartFile {
  const segment: Segment = { slot: 0, start: 0, end: sizeBytes, done: sizeBytes }
  writeMap(target, { v: 1, source, sizeBytes, validator: null, boot: bootId() }, [segment])
  return keepPart(target, [segment])
}

const isSame = (a: PartIdentity, b: PartIdentity): boolean => JSON.stringify(pick(a)) === JSON.stringify(pick(b))

const pick = ({ source, sizeBytes, validator }: PartIdentity): PartIdentity => ({ source, sizeBytes, validator })

function layOut(sizeBytes: number, count: number, firstBytes: number): Segment[] {
  const length = Math.ceil((sizeBytes - firstBytes) / count)
  const ends = Array.from({ length: count }, (_, index) => Math.min(sizeBytes, firstBytes + (index + 1) * length))
  const all = firstBytes === 0 ? ends : [firstBytes, ...ends.filter((end) => end > firstBytes)]
  return all.map((end, slot) => ({ slot, start: all[slot - 1] ?? 0, end, done: 0 }))
}

/** Whether there is a part of some file here. */
export function hasPart(target: string): boolean {
  return existsSync(mapPath(target))
}

function keepPart(target: string, initial: readonly Segment[]): PartFile {
  const data = openSync(partPath(target), 'r+')
  const map = openSync(mapPath(target), 'r+')
  const segments = [...initial]
  const number = Buffer.alloc(8)
  let bytesDone = segments.reduce((sum, { done }) => sum + done, 0)
  let lastSyncMs = performance.now()
  let isOpen = true
  let isSyncing = false

  const note = (slot: number, field: Field, value: number) => {
    number.writeBigUInt64LE(BigInt(value))
    writeSync(map, number, 0, 8, HEADER_BYTES + slot * SLOT_BYTES + FIELDS[field])
  }
  const release = () => {
    closeSync(data)
    closeSync(map)
  }
  const sync = () => {
    lastSyncMs = performance.now()
    isSyncing = true
    const written = segments.map(({ slot, done }) => ({ slot, done }))
    fdatasync(data, (error) => {
      isSyncing = false
      if (!isOpen) release()
      else if (error === null) for (const { slot, done } of written) note(slot, 'synced', done)
    })
  }
  const close = () => {
    if (!isOpen) return
    isOpen = false
    // Closing a file under a running sync would give its number to another file.
    if (!isSyncing) release()
  }
  return {
    segments,
    bytesDone: () => bytesDone,
    frontier: () => frontierOf(segments),
    write: async (segment, bytes) => {
      const position = segment.start + segment.done
      for (let at = 0; at < bytes.length; ) at += await writeAt(data, bytes, at, position + at)
      // Another transfer may have taken over the end of the segment meanwhile.
      const own = Math.min(bytes.length, segment.end - position)
      segment.done += own
      bytesDone += own
      note(segment.slot, 'done', segment.done)
      if (!isSyncing && performance.now() - lastSyncMs > SYNC_INTERVAL_MS) sync()
    },
    split: (segment, at) => {
      if (segments.length >= MAX_SLOTS || at <= segment.start + segment.done || at >= segment.end) return null
      const later: Segment = { slot: segments.length, start: at, end: segment.end, done: 0 }
      // The new one first: between the two writes both cover its bytes, which fetches them twice and loses none.
      writeSync(map, slotBytes(later, 0), 0, SLOT_BYTES, HEADER_BYTES + later.slot * SLOT_BYTES)
      segment.end = at
      note(segment.slot, 'end', at)
      segments.push(later)
      return later
    },
    install: async (name) => {
      await toDisk(data)
      close()
      renameSync(partPath(target), name)
      syncDirectory(dirname(name))
      rmSync(mapPath(target), { force: true })
    },
    close,
  }
}

type Field = 'start' | 'end' | 'done' | 'synced'
const FIELDS: Readonly<Record<Field, number>> = { start: 0, end: 8, done: 16, synced: 24 }

function frontierOf(segments: readonly Segment[]): number {
  let reached = 0
  for (const { start, end, done } of [...segments].sort((a, b) => a.start - b.start)) {
    if (start > reached) break
    reached = Math.max(reached, start + done)
    if (start + done < end) break
  }
  return reached
}

function writeMap(target: string, header: Header, segments: readonly Segment[]): void {
  const text = JSON.stringify(header)
  if (Buffer.byteLength(text) >= HEADER_BYTES)
    throw new Error(`cannot note where "${target}" comes from: it is too long`)
  const file = Buffer.alloc(HEADER_BYTES + MAX_SLOTS * SLOT_BYTES)
  file.write(`${text}\n`)
  for (const segment of segments) slotBytes(segment, segment.done).copy(file, HEADER_BYTES + segment.slot * SLOT_BYTES)
  writeFileAtomically(mapPath(target), file, 0o644)
}

function slotBytes({ start, end, done }: Segment, synced: number): Buffer {
  const slot = Buffer.alloc(SLOT_BYTES)
  for (const [index, value] of [start, end, done, synced].entries()) slot.writeBigUInt64LE(BigInt(value), index * 8)
  return slot
}

/** `null` for a map that is not there, not whole, or has no file of its size beside it. */
function readMap(target: string): { readonly header: Header; readonly segments: Segment[] } | null {
  try {
    const file = readFileSync(mapPath(target))
    const header = JSON.parse(file.toString('utf8', 0, file.indexOf(10))) as Header
    if (header.v !== 1 || sizeOf(partPath(target)) !== header.sizeBytes) return null
    const isSameBoot = header.boot === bootId()
    const segments: Segment[] = []
    for (let slot = 0; slot < MAX_SLOTS; slot += 1) {
      const read = (field: Field) => Number(file.readBigUInt64LE(HEADER_BYTES + slot * SLOT_BYTES + FIELDS[field]))
      const [start, end] = [read('start'), read('end')]
      if (end === 0) break
      segments.push({ slot, start, end, done: Math.min(end - start, read(isSameBoot ? 'done' : 'synced')) })
    }
    return segments.every(({ start, end }) => start <= end && end <= header.sizeBytes) ? { header, segments } : null
  } catch {
    return null
  }
}

function sizeOf(path: string): number {
  const descriptor = openSync(path, 'r')
  try {
    return fstatSync(descriptor).size
  } finally {
    closeSync(descriptor)
  }
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

/** Makes a rename in it last. File systems that cannot do that do not need it. */
function syncDirectory(directory: string): void {
  try {
    const descriptor = openSync(directory, 'r')
    try {
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  } catch {
    // The file itself is on the disk; at the worst the next start fetches nothing and renames it again.
  }
}
