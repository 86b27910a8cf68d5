import { closeSync, openSync, readSync } from 'node:fs'
import type { MachineEvent } from '../../shared/machine-event.ts'
import { readHead, readRecord } from './journal-record.ts'

export interface ReadableSegment {
  readonly path: string
  readonly firstSeq: number
}

/** Where the line behind an event begins, by the number of the event: whoever reads on does not search. */
export type ReadingPlaces = Map<number, ReadingPlace>

interface ReadingPlace {
  readonly path: string
  readonly offset: number
}

const READ_BYTES = 128 * 1024
const NEWLINE = 10

/** Readers go on where they stopped; more of them than this search anew. */
const MAX_PLACES = 16

/** Up to `limit` events with a greater number than `seq` from files in their order. */
export function readAfter(
  segments: readonly ReadableSegment[],
  places: ReadingPlaces,
  seq: number,
  limit: number,
): MachineEvent[] {
  const events: MachineEvent[] = []
  const known = places.get(seq)
  const begin = Math.max(
    0,
    known === undefined
      ? segments.findLastIndex(({ firstSeq }) => firstSeq <= seq + 1)
      : segments.findIndex(({ path }) => path === known.path),
  )
  let place: ReadingPlace | null = null
  for (const { path } of segments.slice(begin)) {
    const offset = known?.path === path ? known.offset : 0
    place = { path, offset: readSegment(path, offset, seq, limit, events) }
    if (events.length >= limit) break
  }
  const last = events.at(-1)
  if (place !== null && last !== undefined) {
    if (places.size >= MAX_PLACES) places.delete(places.keys().next().value!)
    places.set(last.seq, place)
  }
  return events
}

/** Reads on from `offset`, adds to `events` what has a greater number than `seq`; gives the offset behind the last line. */
function readSegment(path: string, offset: number, seq: number, limit: number, events: MachineEvent[]): number {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch {
    return offset
  }
  try {
    let at = offset
    let chunk = Buffer.alloc(READ_BYTES)
    for (;;) {
      const length = readSync(descriptor, chunk, 0, chunk.length, at)
      const end = chunk.subarray(0, length).lastIndexOf(NEWLINE) + 1
      if (end === 0) {
        if (length < chunk.length) return at
        chunk = Buffer.alloc(chunk.length * 2)
        continue
      }
      const taken = takeLines(chunk.subarray(0, end), seq, limit, events)
      at += taken
      if (events.length >= limit || length < chunk.length) return at
    }
  } finally {
    closeSync(descriptor)
  }
}

function takeLines(chunk: Buffer, seq: number, limit: number, events: MachineEvent[]): number {
  let start = 0
  while (start < chunk.length && events.length < limit) {
    const end = chunk.indexOf(NEWLINE, start)
    const line = chunk.toString('utf8', start, end)
    start = end + 1
    if ((readHead(line)?.seq ?? Number.POSITIVE_INFINITY) <= seq) continue
    const event = readRecord(line)?.event
    if (event !== undefined && event.seq > seq) events.push(event)
  }
  return start
}
