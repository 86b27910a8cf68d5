import type { BufferPool } from './buffer-pool.ts'
import type { Taken } from './connection.ts'
import type { PartFile, Segment } from './part-file.ts'

/** Brings the bytes of one transfer to the disk while the next ones come in. */
export interface SegmentWriter {
  /** Takes bytes; lasting ones are left alone until the promise that it gives for them resolves. */
  readonly take: (bytes: Buffer, isLasting: boolean) => Taken
  /** Waits until everything is written; throws what went wrong with it. */
  readonly finish: () => Promise<void>
}

/**
 * Lasting bytes are written from where they are. Others, the small pieces that TLS deciphers, are gathered in one of two
 * buffers while the other is written, and that as soon as nothing else is: a slow line leaves next to nothing in memory for
 * a kill to lose.
 */
export function createSegmentWriter(
  part: PartFile,
  segment: Segment,
  pool: BufferPool,
  onWritten: () => void,
): SegmentWriter {
  let position = segment.start + segment.done
  let failure: unknown = null
  /** Everything that was given to the disk, in order; never rejected. */
  let tail: Promise<void> = Promise.resolve()
  let isWriting = false
  const stage = createStage(pool)

  const write = (bytes: Buffer): Promise<void> => {
    isWriting = true
    const written = tail.then(async () => {
      if (failure !== null) throw failure
      await part.write(segment, bytes)
      onWritten()
    })
    const own = written.catch((error: unknown) => {
      failure ??= error
    })
    tail = own
    void own.then(() => {
      if (tail !== own) return
      isWriting = false
      flush()
    })
    return written
  }
  const flush = (): void => {
    const staged = isWriting || failure !== null ? null : stage.swap()
    if (staged !== null) void write(staged).catch(() => {})
  }
  const takePassing = (bytes: Buffer): Taken => {
    const hasRoom = stage.add(bytes)
    flush()
    return hasRoom || stage.hasRoom() ? 'more' : tail
  }
  return {
    take: (bytes, isLasting) => {
      if (failure !== null) throw failure
      const fitting = bytes.subarray(0, Math.max(0, Math.min(bytes.length, segment.end - position)))
      position += fitting.length
      const taken = isLasting && stage.isEmpty() ? write(fitting) : takePassing(fitting)
      if (position < segment.end) return taken
      // Whoever waits for the end hears of a failure there.
      if (taken instanceof Promise) taken.catch(() => {})
      return 'enough'
    },
    finish: async () => {
      while (isWriting) await tail
      stage.close()
      if (failure !== null) throw failure
    },
  }
}

interface Stage {
  /** Copies bytes; gives whether there is room for as many again. */
  readonly add: (bytes: Buffer) => boolean
  readonly hasRoom: () => boolean
  readonly isEmpty: () => boolean
  /** What was gathered, and an empty buffer in its place; what was given before is overwritten from now on. */
  readonly swap: () => Buffer | null
  readonly close: () => void
}

function createStage(pool: BufferPool): Stage {
  let buffers: [Buffer, Buffer] | null = null
  let filled = 0
  const hasRoom = () => buffers === null || filled < buffers[0].length / 2
  return {
    hasRoom,
    isEmpty: () => filled === 0,
    add: (bytes) => {
      buffers ??= [pool.take(), pool.take()]
      if (bytes.length > buffers[0].length - filled) buffers[0] = grown(buffers[0], filled + bytes.length)
      buffers[0].set(bytes, filled)
      filled += bytes.length
      return hasRoom()
    },
    swap: () => {
      if (buffers === null || filled === 0) return null
      const gathered = buffers[0].subarray(0, filled)
      buffers = [buffers[1], buffers[0]]
      filled = 0
      return gathered
    },
    close: () => {
      for (const buffer of buffers ?? []) pool.give(buffer)
      buffers = null
    },
  }
}

/**
 * Deciphered bytes may come although a pause was asked for, which is done when half of the room is taken: more than the
 * other half is rare, and such a buffer is no larger than it must be.
 */
function grown(buffer: Buffer, length: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(length)
  buffer.copy(larger)
  return larger
}
