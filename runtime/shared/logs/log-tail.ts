import { readSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import {
  closeFiles,
  closeQuietly,
  isMissing,
  type LogFile,
  openFile,
  openLogFiles,
  readFile,
  statFile,
} from './log-files.ts'

/** Reads what is added to a log directory, from file to file in the order in which they were written. */
export interface LogTail {
  /** The text that follows, in portions, characters being bytes; empty when there is no more for now. */
  readonly read: () => Promise<string>
  /** Whether a file was removed before it was read, since this was last asked. */
  readonly hasLost: () => boolean
  /** So many bytes before the end of what was read, in the file that it came from; `null` before the first file. */
  readonly position: (unusedBytes: number) => LogPosition | null
  readonly close: () => void
}

/** A place that can be found again by another process, whatever the file is called by then. */
export interface LogPosition {
  readonly inode: number
  readonly offset: number
  /** What stands before it, as another file may have got the inode. */
  readonly before: string
}

interface Held {
  readonly file: LogFile
  readonly fd: number
  offset: number
  /** What was read of it ends in the middle of a line. */
  isTorn: boolean
}

const PORTION_BYTES = 64 * 1024
const BEFORE_BYTES = 48

/** Begins with the oldest line that there is. */
export function tailFromStart(directory: string): LogTail {
  return createTail(directory, null)
}

/** Goes on behind `offset` of the last of `files`, whose file descriptor it takes over. */
export async function tailAfter(directory: string, files: readonly LogFile[], offset: number): Promise<LogTail> {
  const file = files.at(-1)
  const held = file === undefined ? null : await hold(file)
  if (held === null) return createTail(directory, null)
  held.offset = offset
  return createTail(directory, held)
}

/** Goes on at a place; from the oldest line where it is not there any more. */
export async function tailFrom(directory: string, position: LogPosition): Promise<LogTail> {
  const files = await openLogFiles(directory)
  const file = files.find(({ inode }) => inode === position.inode)
  closeFiles(files.filter((other) => other !== file))
  const held = file === undefined ? null : await hold(file)
  if (held === null) return createTail(directory, null)
  if (readBefore(held.fd, position.offset) !== position.before) {
    closeQuietly(held.fd)
    return createTail(directory, null)
  }
  held.offset = position.offset
  return createTail(directory, held)
}

async function hold(file: LogFile): Promise<Held | null> {
  try {
    const fd = file.fd ?? (await openFile(file.path, 'r'))
    return { file, fd, offset: 0, isTorn: false }
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

/** A few bytes that were read just now, so that it blocks nobody. */
function readBefore(fd: number, offset: number): string {
  const bytes = Buffer.alloc(Math.min(BEFORE_BYTES, offset))
  return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, offset - bytes.length))
}

function positionIn({ file, fd, offset }: Held, unusedBytes: number): LogPosition {
  const place = Math.max(0, offset - unusedBytes)
  return { inode: file.inode, offset: place, before: readBefore(fd, place) }
}

function createTail(directory: string, first: Held | null): LogTail {
  let held = first
  let hasLost = false
  let isClosed = false
  let isBusy = false

  const release = () => {
    if (held !== null) closeQuietly(held.fd)
    held = null
  }

  /** Goes to the file after the one that is held; false where there is none yet. */
  const advance = async (): Promise<boolean> => {
    const files = await openLogFiles(directory)
    const index = held === null ? -1 : files.findIndex(({ inode }) => inode === held!.file.inode)
    const next = files[index + 1]
    closeFiles(files.filter((file) => file !== next))
    const opened = next === undefined ? null : await hold(next)
    // Where the held file is gone, what was between it and the oldest that is left is gone too.
    if (next !== undefined && (opened === null || (held !== null && index === -1))) hasLost = true
    if (opened === null) return false
    release()
    held = opened
    return true
  }

  const readNext = async (): Promise<string> => {
    for (;;) {
      if (held === null && !(await advance())) return ''
      const text = await readPortion(held!)
      if (text !== '') return text
      if (!(await isRotated(directory, held!))) return ''
      // What was written between the look at the file and its rotation.
      const rest = await readPortion(held!)
      if (rest !== '') return rest
      const { isTorn } = held!
      if (!(await advance())) return ''
      if (isTorn) return '\n'
    }
  }

  return {
    read: async () => {
      if (isClosed || isBusy) return ''
      isBusy = true
      try {
        return await readNext()
      } finally {
        isBusy = false
        if (isClosed) release()
      }
    },
    hasLost: () => {
      const answer = hasLost
      hasLost = false
      return answer
    },
    position: (unusedBytes) => (held === null ? null : positionIn(held, unusedBytes)),
    close: () => {
      isClosed = true
      if (!isBusy) release()
    },
  }
}

async function readPortion(held: Held): Promise<string> {
  const { size } = await statFile(held.fd)
  const length = Math.min(PORTION_BYTES, size - held.offset)
  if (length <= 0) return ''
  const { bytesRead, buffer } = await readFile(held.fd, Buffer.alloc(length), 0, length, held.offset)
  const text = buffer.toString('latin1', 0, bytesRead)
  held.offset += bytesRead
  held.isTorn = !text.endsWith('\n')
  return text
}

/** s6-log has written all of a file before it gives it another name. */
async function isRotated(directory: string, held: Held): Promise<boolean> {
  try {
    return (await stat(`${directory}/current`)).ino !== held.file.inode
  } catch (error) {
    if (isMissing(error)) return true
    throw error
  }
}
