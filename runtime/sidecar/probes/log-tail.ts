import { statSync } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'

export interface LogTail {
  /**
   * The lines since the last call, without their times, a megabyte at the most: the rest comes with the next calls.
   * `null` where the log cannot be read.
   */
  readonly read: () => Promise<readonly string[] | null>
  readonly close: () => void
}

/** A call reads no more than this, and one that is much further behind lets go of the middle. */
const MAX_READ_BYTES = 1024 ** 2
const MAX_BEHIND_BYTES = 16 * MAX_READ_BYTES

/** What is kept of a line that goes on: more than any message that is looked for. */
const MAX_LINE_CHARS = 16_384

interface Followed {
  readonly handle: FileHandle
  readonly inode: number
  offset: number
}

/**
 * Follows `current` of an s6-log directory, across its rotations: it is held open, and when it was archived it is read to its
 * end first. Of two rotations between two looks the file between them is lost.
 * - `sinceMs: null`: only what is written from now on.
 * - a time: also what has been written since then, as far as the last megabyte goes; by the times that s6-log has put
 *   before the lines.
 */
export function openLogTail(path: string, sinceMs: number | null): LogTail {
  const start = statSync(path, { throwIfNoEntry: false })
  const past = sinceMs === null ? 0 : MAX_READ_BYTES
  let followed = begin(path, (inode) => (start?.ino === inode ? Math.max(0, start.size - past) : 0))
  let rest = ''
  let isOld = sinceMs !== null
  let isClosed = false

  const release = () => {
    void followed.then((file) => file?.handle.close()).catch(() => {})
    followed = Promise.resolve(null)
    rest = ''
  }

  const advance = async (): Promise<string | null> => {
    if ((await followed) === null && !isClosed) followed = begin(path, () => 0)
    const file = await followed
    if (file === null) return null
    // Asked before the rest is read: what is written after a rotation is in another file. In the middle of one there is none.
    const now = await stat(path).catch(() => null)
    if (now !== null && now.ino === file.inode && now.size === file.offset) return ''
    const text = await drain(file)
    if (now !== null && now.ino !== file.inode && text.length < MAX_READ_BYTES && !isClosed) {
      release()
      followed = begin(path, () => 0)
    }
    return text
  }

  const toLines = (text: string): string[] => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!.slice(0, MAX_LINE_CHARS)
    return lines.flatMap((line) => {
      isOld &&= isBefore(line, sinceMs!)
      return isOld ? [] : [line.replace(STAMP, '')]
    })
  }

  return {
    read: async () => {
      try {
        const text = await advance()
        return text === null ? null : toLines(text)
      } catch {
        release()
        return null
      }
    },
    close: () => {
      isClosed = true
      release()
    },
  }
}

/** Opens at once, so that a rotation before the first look loses nothing. */
async function begin(path: string, offsetOf: (inode: number) => number): Promise<Followed | null> {
  try {
    const handle = await open(path, 'r')
    const { ino } = await handle.stat()
    return { handle, inode: ino, offset: offsetOf(ino) }
  } catch {
    return null
  }
}

async function drain(file: Followed): Promise<string> {
  const { size } = await file.handle.stat()
  if (size - file.offset > MAX_BEHIND_BYTES) file.offset = size - MAX_READ_BYTES
  const wanted = Math.min(size - file.offset, MAX_READ_BYTES)
  if (wanted <= 0) return ''
  const { bytesRead, buffer } = await file.handle.read(Buffer.allocUnsafe(wanted), 0, wanted, file.offset)
  file.offset += bytesRead
  return buffer.toString('latin1', 0, bytesRead)
}

/** `T` and `t` of s6-log: local time, two spaces; a TAI64N label, one. */
const STAMP = /^(?:(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3})\d* {2}|@[0-9a-f]{24} )/

/** Lines without a time of their own go with those before them. */
function isBefore(line: string, sinceMs: number): boolean {
  const [, date, time] = STAMP.exec(line) ?? []
  return date === undefined || !(new Date(`${date}T${time}`).getTime() >= sinceMs)
}
