import {
  closeSync,
  existsSync,
  fdatasync,
  fsync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  write,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import {
  isSameFile,
  MAX_SLOTS,
  mapPath,
  NUMBER_BYTES,
  type PartIdentity,
  partPath,
  placeOf,
  readMap,
  type Segment,
  type SlotField,
  slotBytes,
  writeMap,
} from './part-map.ts'

export { type PartIdentity, partPath, type Segment } from './part-map.ts'

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

/** How often what was written is brought to the disk, so that not even a power cut costs more. */
const SYNC_INTERVAL_MS = 3000

/** What is there of this file already. */
export function bytesInPart(target: string, identity: PartIdentity): number {
  const map = readMap(target)
  if (map === null || !isSameFile(map.identity, identity)) return 0
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
  const canContinue = known !== null && isSameFile(known.identity, identity)
  const segments = canContinue ? known.segments : layOut(identity.sizeBytes, segmentCount, firstBytes)
  if (!canContinue) {
    discardPart(target)
    const data = openSync(partPath(target), 'w', 0o644)
    ftruncateSync(data, identity.sizeBytes)
    closeSync(data)
    writeMap(target, identity, segments)
  } else if (known.isOld) writeMap(target, identity, segments)
  return keepPart(target, segments)
}

/** A part that was written whole, without a map: from a source that can only send all of it. */
export function adoptPart(target: string, source: string, sizeBytes: number): PartFile {
  const segment: Segment = { slot: 0, start: 0, end: sizeBytes, done: sizeBytes }
  writeMap(target, { source, sizeBytes, validator: null }, [segment])
  return keepPart(target, [segment])
}

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
  const number = Buffer.alloc(NUMBER_BYTES)
  let bytesDone = segments.reduce((sum, { done }) => sum + done, 0)
  let lastSyncMs = performance.now()
  let isOpen = true
  let isSyncing = false

  const note = (slot: number, field: SlotField, value: number) => {
    number.writeBigUInt64LE(BigInt(value))
    writeSync(map, number, 0, NUMBER_BYTES, placeOf(slot, field))
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
      const slot = slotBytes(later, 0)
      writeSync(map, slot, 0, slot.length, placeOf(later.slot, 'start'))
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

function frontierOf(segments: readonly Segment[]): number {
  let reached = 0
  for (const { start, end, done } of [...segments].sort((a, b) => a.start - b.start)) {
    if (start > reached) break
    reached = Math.max(reached, start + done)
    if (start + done < end) break
  }
  return reached
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
