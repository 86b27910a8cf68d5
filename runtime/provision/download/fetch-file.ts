import { closeSync, openSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Bandwidth } from './bandwidth.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { TakeBytes, Taken } from './connection.ts'
import { DownloadError } from './download-error.ts'
import { adoptPart, discardPart, openPart, type PartFile, partPath, type Segment } from './part-file.ts'
import type { BegunTransfer, RangeSource, SourceFacts } from './range-source.ts'
import { type RetryOptions, withRetries } from './retry.ts'
import { createSegmentWriter } from './segment-writer.ts'

export interface FetchOptions {
  /** Where the file is to be in the end; its part stands beside it. */
  readonly target: string
  readonly source: RangeSource
  readonly facts: SourceFacts
  /** What the source was asked for with its facts, and sends already. */
  readonly begun?: BegunTransfer | null
  /** Names the source and what is wanted from it: a part of something else is not continued. */
  readonly identity: string
  /** Transfers at the same time. */
  readonly segments: number
  readonly bandwidth: Bandwidth
  /** Buffers in which bytes wait for the disk, twice as large as what comes at a time. */
  readonly staging: BufferPool
  readonly retries: number
  readonly onFailure: NonNullable<RetryOptions['onFailure']>
  /** Bytes that are there, whenever that changes. */
  readonly onProgress: (bytes: number) => void
  /** Bytes from the start without a gap, whenever that may have changed: they can be read back. */
  readonly onFrontier: ((bytes: number) => void) | null
}

/** A file smaller than two of these is fetched in one piece. */
const LEAST_SEGMENT_BYTES = 16 * 1024 * 1024

/**
 * A source that answers sooner is near: one transfer fills the line, and several only take turns. It begins with one, and
 * gets more where that turns out to be slow.
 */
const NEAR_MS = 15

/**
 * What is left of a slow segment is shared with a transfer that has nothing to do, where that saves so much: what the slow
 * one still gets of the half that it gives away has come for nothing.
 */
const LEAST_SHARE_MS = 400
const LEAST_SHARE_BYTES = 1024 * 1024

/** A connection shows its speed after this. */
const SETTLING_MS = 500

/** How often a transfer with nothing to do looks for a slow one. */
const LOOK_AGAIN_MS = 100

/**
 * Fetches a file into its part, and continues one that is there: all bytes are written when it resolves, none of them
 * checked. A `changed` error says that the part is of a version that the source no longer has.
 */
export async function fetchFile(options: FetchOptions): Promise<PartFile> {
  const { facts } = options
  return facts.sizeBytes !== null && facts.ranges ? fetchRanges(options, facts.sizeBytes) : fetchWhole(options)
}

async function fetchRanges(options: FetchOptions, sizeBytes: number): Promise<PartFile> {
  const { target, facts, identity } = options
  const isNear = facts.latencyMs !== null && facts.latencyMs < NEAR_MS
  const most = isNear ? 1 : Math.min(options.segments, Math.floor(sizeBytes / LEAST_SEGMENT_BYTES))
  const begun = options.begun ?? null
  const key = { source: identity, sizeBytes, validator: facts.validator }
  const part = openPart(target, key, Math.max(1, most), Math.min(sizeBytes, begun?.end ?? 0))
  options.onProgress(part.bytesDone())
  options.onFrontier?.(part.frontier())
  const transfer = createTransfer(options, part, sizeBytes)
  const wanted = (sizeBytes < 2 * LEAST_SEGMENT_BYTES ? 1 : options.segments) + (begun === null ? 0 : 1)
  await Promise.all(Array.from({ length: wanted }, transfer.work))
  begun?.close()
  if (transfer.error() !== null) {
    part.close()
    throw transfer.error()
  }
  return part
}

interface Transfer {
  readonly work: () => Promise<void>
  readonly error: () => unknown
}

function createTransfer(options: FetchOptions, part: PartFile, sizeBytes: number): Transfer {
  const { source, facts, bandwidth, retries, onFailure } = options
  const abort = new AbortController()
  let begun = options.begun ?? null
  /** Nobody need look again. */
  const end = new AbortController()
  const taken = new Map<Segment, Beginning>()
  let failure: unknown = null

  const readSegment = async (segment: Segment): Promise<void> => {
    const range = { start: segment.start + segment.done, end: segment.end, sizeBytes, signal: abort.signal }
    const writer = createSegmentWriter(part, segment, options.staging, () => {
      options.onProgress(part.bytesDone())
      options.onFrontier?.(part.frontier())
    })
    const take: TakeBytes = (bytes, isLasting) => {
      const taken = writer.take(bytes, isLasting)
      return taken === 'enough' ? taken : paced(taken, bandwidth.take(bytes.length))
    }
    const onTheWay = begun
    const isBegun = onTheWay !== null && range.start === 0 && range.end === Math.min(sizeBytes, onTheWay.end)
    try {
      if (isBegun) {
        begun = null
        await onTheWay.read(take, abort.signal)
      } else await source.read({ ...range, validator: facts.validator }, take)
    } finally {
      await writer.finish()
    }
    if (!isFull(segment) && !abort.signal.aborted) throw new DownloadError('transient', 'the connection was cut')
  }
  const fetchSegment = async (segment: Segment): Promise<void> => {
    taken.set(segment, { done: segment.done, atMs: performance.now() })
    try {
      const progress = () => segment.done
      await withRetries(() => readSegment(segment), { retries, onFailure, progress, signal: abort.signal })
    } catch (error) {
      failure ??= error
      abort.abort()
    }
  }
  const work = async (): Promise<void> => {
    while (!abort.signal.aborted && !part.segments.every(isFull)) {
      const segment = nextSegment(part, taken)
      if (segment === null) await delay(LOOK_AGAIN_MS, undefined, { signal: end.signal }).catch(() => {})
      else await fetchSegment(segment)
    }
    end.abort()
  }
  return { work, error: () => failure }
}

function paced(taken: 'more' | Promise<unknown>, pauseMs: number): Taken {
  return pauseMs === 0 ? taken : Promise.all([taken, delay(pauseMs)])
}

const isFull = ({ start, end, done }: Segment): boolean => start + done >= end
const left = ({ start, end, done }: Segment): number => end - start - done

/** Where a transfer began. */
interface Beginning {
  readonly done: number
  readonly atMs: number
}

/** One that nobody fetches, or the second half of what is left of the one that will take longest. */
function nextSegment(part: PartFile, taken: ReadonlyMap<Segment, Beginning>): Segment | null {
  const open = part.segments.filter((segment) => !isFull(segment))
  const free = open.find((segment) => !taken.has(segment))
  if (free !== undefined) return free
  const [slowest] = open.sort((a, b) => remainingMs(b, taken.get(b)) - remainingMs(a, taken.get(a)))
  if (slowest === undefined || left(slowest) < 2 * LEAST_SHARE_BYTES) return null
  if (remainingMs(slowest, taken.get(slowest)) < 2 * LEAST_SHARE_MS) return null
  return part.split(slowest, slowest.end - Math.floor(left(slowest) / 2))
}

function remainingMs(segment: Segment, beginning: Beginning | undefined): number {
  if (beginning === undefined) return 0
  const elapsedMs = performance.now() - beginning.atMs
  const fetched = Math.max(1, segment.done - beginning.done)
  return elapsedMs < SETTLING_MS ? 0 : (left(segment) / fetched) * elapsedMs
}

/** From a source that cannot continue: every attempt begins at the first byte. */
async function fetchWhole(options: FetchOptions): Promise<PartFile> {
  const { target, source, facts, bandwidth, retries, onFailure } = options
  const abort = new AbortController()
  let sizeBytes = 0
  const attempt = async () => {
    discardPart(target)
    sizeBytes = 0
    const descriptor = openSync(partPath(target), 'w', 0o644)
    try {
      const range = { start: 0, end: null, validator: null, sizeBytes: facts.sizeBytes, signal: abort.signal }
      await source.read(range, (bytes) => {
        for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at)
        sizeBytes += bytes.length
        options.onProgress(sizeBytes)
        return paced('more', bandwidth.take(bytes.length))
      })
    } finally {
      closeSync(descriptor)
    }
    if (facts.sizeBytes !== null && sizeBytes !== facts.sizeBytes) {
      throw new DownloadError('transient', `it sent ${sizeBytes} of ${facts.sizeBytes} bytes`)
    }
  }
  await withRetries(attempt, { retries, onFailure })
  options.onFrontier?.(sizeBytes)
  return adoptPart(target, options.identity, sizeBytes)
}
