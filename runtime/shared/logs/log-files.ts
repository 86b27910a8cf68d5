import { close, fstat, open, read } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { timeOfLabel } from './stamp.ts'

export const openFile = promisify(open)
export const statFile = promisify(fstat)
export const readFile = promisify(read)
const closeFile = promisify(close)

/** A file of a log directory at the moment in which the directory was looked at. */
export interface LogFile {
  readonly name: string
  readonly path: string
  readonly inode: number
  readonly bytes: number
  /** When it was rotated away, from its name; when it was last written, for the newest. */
  readonly endMs: number
  readonly modifiedMs: number
  /** Set where the file may be renamed at any moment. */
  readonly fd: number | null
}

/** `@<label>.s` was closed by s6-log, `@<label>.u` was left behind by one that was killed; processors use more letters. */
const ARCHIVE = /^@([0-9a-f]{24})\.[a-z]$/

/** The name that a file has between `current` and its last one. */
const BETWEEN = 'previous'

/**
 * The files of a directory that s6-log writes, oldest first, as of one moment: what is rotated while this looks is still
 * the newest file here, under whatever name. `current` (and what is about to be renamed) is open; closeFiles() closes it.
 * No files where there is no such directory.
 */
export async function openLogFiles(directory: string): Promise<LogFile[]> {
  for (let attempt = 1; ; attempt += 1) {
    const opened: LogFile[] = []
    try {
      // The order matters: what is rotated after `current` was opened is known by its inode, and left out.
      const current = await openLogFile(directory, 'current')
      if (current !== null) opened.push(current)
      const names = await readdir(directory)
      const hasBetween = names.includes(BETWEEN)
      const between = hasBetween ? await openLogFile(directory, BETWEEN) : null
      if (between !== null) opened.push(between)
      // It got its last name just now.
      const isMissed = hasBetween && between === null && attempt < MAX_ATTEMPTS
      if (!isMissed) return await arrange(directory, names, current, between)
    } catch (error) {
      closeFiles(opened)
      if (isMissing(error)) return []
      throw error
    }
    closeFiles(opened)
  }
}

const MAX_ATTEMPTS = 5

async function arrange(
  directory: string,
  names: readonly string[],
  current: LogFile | null,
  between: LogFile | null,
): Promise<LogFile[]> {
  const archives = await Promise.all(
    names
      .filter(isArchive)
      .sort()
      .map((name) => statLogFile(directory, name)),
  )
  const found = [...archives.filter((file) => file !== null), ...(between === null ? [] : [between])]
  // s6-log links a file to its next name before it takes the last one away, and can be killed between the two.
  const complete = [...new Map(found.toReversed().map((file) => [file.inode, file])).values()].reverse()
  const rotated = current === null ? -1 : complete.findIndex(({ inode }) => inode === current.inode)
  const kept = [...(rotated === -1 ? complete : complete.slice(0, rotated)), ...(current === null ? [] : [current])]
  closeFiles(found.filter((file) => !kept.includes(file)))
  return kept
}

function isArchive(name: string): boolean {
  return ARCHIVE.test(name)
}

/** An archive, which keeps its name until it is removed; `null` where that has happened. */
async function statLogFile(directory: string, name: string): Promise<LogFile | null> {
  const path = `${directory}/${name}`
  try {
    const { ino, size, mtimeMs } = await stat(path)
    const endMs = timeOfLabel(ARCHIVE.exec(name)?.[1] ?? '') ?? mtimeMs
    return { name, path, inode: ino, bytes: size, endMs, modifiedMs: mtimeMs, fd: null }
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

async function openLogFile(directory: string, name: string): Promise<LogFile | null> {
  const path = `${directory}/${name}`
  try {
    const fd = await openFile(path, 'r')
    const { ino, size, mtimeMs } = await statFile(fd)
    return { name, path, inode: ino, bytes: size, endMs: mtimeMs, modifiedMs: mtimeMs, fd }
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

export function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ENOENT' || code === 'ENOTDIR'
}

export function closeFiles(files: readonly Pick<LogFile, 'fd'>[]): void {
  for (const { fd } of files) if (fd !== null) closeQuietly(fd)
}

/** A file that was only read has nothing to lose when closing it fails. */
export function closeQuietly(fd: number): void {
  closeFile(fd).catch(() => {})
}
