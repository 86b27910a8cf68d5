import { closeQuietly, isMissing, type LogFile, openFile, readFile } from './log-files.ts'

/**
 * The files of a log directory as one text that never changes: what is written later is not part of it. Places in it are
 * counted in bytes from the start of the oldest file. A character is a byte (latin1), so that a place is an index.
 */
export interface LogText {
  /** Where it begins; grows when a file turns out to be removed. */
  readonly start: () => number
  readonly end: number
  readonly parts: readonly LogPart[]
  /** Bytes of files that are gone meanwhile read as line breaks. */
  readonly read: (from: number, to: number) => Promise<string>
  readonly close: () => void
}

/** A file's place in the text. */
export interface LogPart {
  readonly file: LogFile
  readonly start: number
  readonly end: number
}

/** A file that nobody has written to for so long will not get the rest of its last line. */
const TORN_AFTER_MS = 2000
const TAIL_BYTES = 16 * 1024
const LINE_BREAK = 0x0a

/**
 * Reads `files`, oldest first, up to the last whole line of the newest: the rest may be in the middle of being written.
 * A last line that stays torn gets a line break. Files that came open stay so; the caller closes them.
 */
export async function openLogText(files: readonly LogFile[], nowMs: number): Promise<LogText> {
  const parts: LogPart[] = []
  for (const [index, file] of files.entries()) {
    const start = parts.at(-1)?.end ?? 0
    const isNewest = index === files.length - 1
    parts.push({ file, start, end: start + (await usableBytes(file, isNewest, nowMs)) })
  }
  const reader = createPartReader(parts)
  return { start: reader.start, end: parts.at(-1)?.end ?? 0, parts, read: reader.read, close: reader.close }
}

/** How far into its newest file the text goes. */
export function usedBytes({ parts }: LogText): number {
  const newest = parts.at(-1)
  return newest === undefined ? 0 : Math.min(newest.end - newest.start, newest.file.bytes)
}

/** Bytes to read of a file; one more than it has where a line break must be added. */
async function usableBytes(file: LogFile, isNewest: boolean, nowMs: number): Promise<number> {
  // s6-log writes whole lines; only one that was killed, or a full disk, leaves half of one behind.
  const mayBeTorn = isNewest || !file.name.endsWith('.s')
  if (!mayBeTorn || file.bytes === 0) return file.bytes
  const tail = await readTail(file)
  const wholeBytes = file.bytes - (tail.length - 1 - tail.lastIndexOf(LINE_BREAK))
  if (wholeBytes === file.bytes) return file.bytes
  const isSettled = !isNewest || nowMs - file.modifiedMs > TORN_AFTER_MS
  return isSettled ? file.bytes + 1 : tail.includes(LINE_BREAK) ? wholeBytes : 0
}

async function readTail(file: LogFile): Promise<Buffer> {
  const fd = file.fd ?? (await openIfThere(file.path))
  if (fd === null) return Buffer.alloc(0)
  try {
    const length = Math.min(TAIL_BYTES, file.bytes)
    const { bytesRead, buffer } = await readFile(fd, Buffer.alloc(length), 0, length, file.bytes - length)
    return buffer.subarray(0, bytesRead)
  } finally {
    if (file.fd === null) closeQuietly(fd)
  }
}

async function openIfThere(path: string): Promise<number | null> {
  try {
    return await openFile(path, 'r')
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

/** Keeps one file open at a time: reading goes from one to the next. */
function createPartReader(parts: readonly LogPart[]) {
  let start = 0
  let held: { readonly part: LogPart; readonly fd: number } | null = null

  const close = () => {
    if (held !== null && held.part.file.fd === null) closeQuietly(held.fd)
    held = null
  }

  const hold = async (part: LogPart): Promise<number | null> => {
    if (held?.part === part) return held.fd
    close()
    const fd = part.file.fd ?? (await openIfThere(part.file.path))
    if (fd === null) start = Math.max(start, part.end)
    else held = { part, fd }
    return fd
  }

  // One for all reads, which come one after the other: a search would leave gigabytes to the garbage collector.
  let buffer = Buffer.alloc(0)

  const read = async (from: number, to: number): Promise<string> => {
    if (buffer.length < to - from) buffer = Buffer.allocUnsafeSlow(to - from)
    const bytes = buffer.subarray(0, to - from).fill(LINE_BREAK)
    for (const part of parts) {
      const first = Math.max(from, part.start)
      const last = Math.min(to, part.start + part.file.bytes, part.end)
      if (first >= last) continue
      const fd = await hold(part)
      if (fd !== null) await readFile(fd, bytes, first - from, last - first, first - part.start)
    }
    return bytes.toString('latin1')
  }

  return { start: () => start, read, close }
}
