import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { splitLines } from './split-lines.ts'

/** A piece is read, counted, and then others have their turn: some two milliseconds of work. */
const PIECE_BYTES = 128 * 1024

/** Up to where a log was read: names a place in a file, whatever the file is called by then. */
export interface LogPosition {
  readonly inode: number
  readonly offset: number
}

export interface LineFollower {
  /** Reads on, to the end of what is there. One call at a time does so; a second one meanwhile returns at once. */
  readonly advance: () => Promise<void>
  /** Behind the last line that was given; `null` while there is no log. */
  readonly position: () => LogPosition | null
  /** What is written of the present file and not read yet, as seen at the last `advance`. */
  readonly behindBytes: () => number
  readonly close: () => Promise<void>
}

export interface LineFollowerOptions {
  /** Directory of s6-log: `current`, and archives `@...` whose names sort by time. */
  readonly directory: string
  /** Where to go on; `end`: behind what is there now, `beginning`: before it. */
  readonly from: LogPosition | 'beginning' | 'end'
  readonly onLines: (lines: readonly string[]) => void
  /** A line without an end within a whole piece was skipped, or cut off by the end of its file. */
  readonly onBrokenLine: () => void
  /** The file that was read is gone, and with it perhaps lines that were not read. */
  readonly onGap: () => void
}

/** Follows the lines that s6-log writes to a directory, through its rotations, in bounded pieces. */
export function createLineFollower(options: LineFollowerOptions): LineFollower {
  const source = createSource(options)
  const piece = Buffer.allocUnsafe(PIECE_BYTES)
  let running: Promise<void> | null = null
  let isClosed = false
  let isSkipping = false
  let behindBytes = 0
  /** How much the present file had when there was nothing more to read in it; -1 for not known. */
  let seenBytes = -1

  /** Reads one piece; says whether there may be more of it. */
  const readPiece = async (file: OpenFile): Promise<boolean> => {
    const { bytesRead } = await file.handle.read(piece, 0, PIECE_BYTES, file.offset)
    seenBytes = file.offset + bytesRead
    if (bytesRead === 0) return false
    const { lines, consumed } = splitLines(piece.subarray(0, bytesRead))
    if (consumed > 0) {
      file.offset += consumed
      // The first of them is the rest of a line that was too long.
      const whole = isSkipping ? lines.slice(1) : lines
      isSkipping = false
      if (whole.length > 0) options.onLines(whole)
      return true
    }
    if (bytesRead < PIECE_BYTES) return false
    file.offset += bytesRead
    if (!isSkipping) options.onBrokenLine()
    isSkipping = true
    return true
  }

  const readAll = async (file: OpenFile): Promise<void> => {
    while (!isClosed && (await readPiece(file))) await nextTurn()
  }

  const run = async (): Promise<void> => {
    // On a machine at rest this is all that happens.
    if (await source.isPresent(seenBytes)) return
    for (let file = await source.present(); file !== null && !isClosed; file = await source.next()) {
      await readAll(file)
      // Asked before the last look: what is written until the file is put away is still read.
      const isPutAway = await source.isPutAway()
      if (isPutAway) await readAll(file)
      if (isClosed) return
      const { size } = await file.handle.stat()
      if (size < file.offset) file.offset = 0
      behindBytes = Math.max(0, size - file.offset)
      if (!isPutAway) return
      if (behindBytes > 0 && !isSkipping) options.onBrokenLine()
      file.offset = size
      isSkipping = false
      seenBytes = -1
    }
  }

  const advance = async () => {
    if (isClosed || running !== null) return
    running = run()
    try {
      await running
    } finally {
      running = null
    }
  }
  const close = async () => {
    isClosed = true
    await running?.catch(() => {})
    await source.close()
  }
  return { advance, position: source.position, behindBytes: () => behindBytes, close }
}

interface OpenFile {
  readonly handle: FileHandle
  readonly inode: number
  offset: number
}

/** The files of the directory, one after another. */
function createSource({ directory, from, onGap }: Pick<LineFollowerOptions, 'directory' | 'from' | 'onGap'>) {
  let file: OpenFile | null = null
  let isFirst = true

  /** Opens a file for good, where it is still the one that was listed. */
  const openEntry = async ({ path, inode }: LogEntry, offset: number): Promise<OpenFile | null> => {
    const handle = await orMissing(open(path, 'r'))
    if (handle === null) return null
    const { ino, size } = await handle.stat()
    if (ino !== inode) {
      await handle.close()
      return null
    }
    await file?.handle.close()
    file = { handle, inode, offset: Math.min(offset, size) }
    return file
  }

  const openKnown = async ({ inode, offset }: LogPosition): Promise<OpenFile | null> => {
    for (let attempt = 0; attempt < RENAME_ATTEMPTS; attempt += 1) {
      const known = (await listLog(directory)).find((entry) => entry.inode === inode)
      const opened = known === undefined ? null : await openEntry(known, offset)
      if (opened !== null) return opened
    }
    return null
  }

  /** The file that was read before, else the newest one, at its end. */
  const openFirst = async (): Promise<OpenFile | null> => {
    const known = typeof from === 'string' ? null : await openKnown(from)
    if (known !== null) return known
    const entries = await listLog(directory)
    const entry = from === 'end' ? entries.at(-1) : entries[0]
    if (entry === undefined) return null
    if (typeof from !== 'string') onGap()
    return openEntry(entry, from === 'end' ? Number.POSITIVE_INFINITY : 0)
  }

  return {
    present: async (): Promise<OpenFile | null> => {
      if (file !== null) return file
      if (isFirst) {
        isFirst = false
        return openFirst()
      }
      // There was nothing at the first look: all that is there now is new.
      const oldest = (await listLog(directory))[0]
      return oldest === undefined ? null : openEntry(oldest, 0)
    },
    isPutAway: async () => (await orMissing(stat(`${directory}/current`)))?.ino !== file?.inode,
    /** The file that is read is still the present one, and has so many bytes. */
    isPresent: async (bytes: number) => {
      if (file === null || bytes < 0) return false
      const present = await orMissing(stat(`${directory}/current`))
      return present?.ino === file.inode && present.size === bytes
    },
    /** The file that was begun after the one that was put away; `null` also while names change: it is there the next time. */
    next: async (): Promise<OpenFile | null> => {
      const entries = await listLog(directory)
      const at = entries.findIndex(({ inode }) => inode === file?.inode)
      if (at < 0) {
        const links = file === null ? 0 : (await file.handle.stat()).nlink
        if (links > 0 || entries.length === 0) return null
        onGap()
      }
      const next = entries[at + 1]
      return next === undefined ? null : openEntry(next, 0)
    },
    position: (): LogPosition | null => {
      if (file === null) return typeof from === 'string' ? null : from
      return { inode: file.inode, offset: file.offset }
    },
    // The position stays what it is: it is asked for once more after the end.
    close: async () => file?.handle.close(),
  }
}

interface LogEntry {
  readonly path: string
  readonly inode: number
}

/** A file that is renamed while the directory is read is missed; twice in a row it is not. */
const RENAME_ATTEMPTS = 3

/** The archives from the oldest one on, then `current`. Between the two a file is `previous` for a moment. */
async function listLog(directory: string): Promise<readonly LogEntry[]> {
  const names = (await orMissing(readdir(directory))) ?? []
  const archives = names.filter((name) => name.startsWith('@')).sort()
  const found = await Promise.all(
    [...archives, 'previous', 'current'].map(async (name) => {
      const path = `${directory}/${name}`
      const stats = await orMissing(stat(path))
      return stats === null ? [] : [{ path, inode: stats.ino }]
    }),
  )
  return found.flat()
}

async function orMissing<Result>(promise: Promise<Result>): Promise<Result | null> {
  try {
    return await promise
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
