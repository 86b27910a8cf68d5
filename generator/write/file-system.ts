import * as nodeFileSystem from 'node:fs'
import { systemCode } from './write-error.ts'

/**
 * The part of `node:fs` that this room uses, so that a test can stop a run between any two calls. Synchronous: a few
 * hundred small files are written several times faster than through the thread pool.
 */
export type FileSystem = Pick<
  typeof nodeFileSystem,
  | 'chmodSync'
  | 'closeSync'
  | 'copyFileSync'
  | 'fchmodSync'
  | 'fchownSync'
  | 'fstatSync'
  | 'lstatSync'
  | 'mkdirSync'
  | 'openSync'
  | 'readSync'
  | 'readdirSync'
  | 'readFileSync'
  | 'realpathSync'
  | 'renameSync'
  | 'rmSync'
  | 'rmdirSync'
  | 'unlinkSync'
  | 'writeSync'
>

export const NODE_FILE_SYSTEM: FileSystem = nodeFileSystem

const { COPYFILE_EXCL, COPYFILE_FICLONE, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = nodeFileSystem.constants

/** How a file is opened that must not exist yet. */
export const NEW_FILE = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW

/** Nobody but the owner can open a file before its last mode is set. */
const MODE_WHILE_WRITING = 0o600
/** Of every directory that runs make. */
export const DIRECTORY_MODE = 0o755

export interface NewFile {
  readonly content: string | Uint8Array
  /** Exact, whatever the umask. */
  readonly mode: number
  /** Given where the file takes the place of one with another owner. */
  readonly owner?: { readonly userId: number; readonly groupId: number }
}

/** Makes a file that must not exist yet. It can be seen half written: only for paths nobody looks at. */
export function createFile(fs: FileSystem, path: string, file: NewFile): void {
  const descriptor = fs.openSync(path, NEW_FILE, MODE_WHILE_WRITING)
  try {
    if (file.owner !== undefined) keepOwner(fs, descriptor, file.owner)
    writeAll(fs, descriptor, file.content)
    fs.fchmodSync(descriptor, file.mode)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** A text in one call where the system takes it whole: Node writes it without a copy of its own. */
export function writeAll(fs: FileSystem, descriptor: number, content: string | Uint8Array): void {
  if (content === '') return
  let rest = content
  if (typeof rest === 'string') {
    const written = fs.writeSync(descriptor, rest)
    if (written === Buffer.byteLength(rest)) return
    rest = Buffer.from(rest).subarray(written)
  }
  for (let written = 0; written < rest.length; )
    written += fs.writeSync(descriptor, rest, written, rest.length - written)
}

/** Makes a file of the content of another, in the kernel; it must not exist yet. */
export function copyFile(fs: FileSystem, original: string, path: string, mode: number): void {
  // Where the file system can, the copy takes no space until one of them changes.
  fs.copyFileSync(original, path, COPYFILE_EXCL | COPYFILE_FICLONE)
  fs.chmodSync(path, mode)
}

/** Root alone may give files away. Where it may not either (an owner outside its user namespace) the file becomes ours. */
function keepOwner(fs: FileSystem, descriptor: number, { userId, groupId }: NonNullable<NewFile['owner']>): void {
  if (process.geteuid?.() !== 0) return
  try {
    fs.fchownSync(descriptor, userId, groupId)
  } catch (error) {
    if (!['EPERM', 'EINVAL'].includes(systemCode(error) ?? '')) throw error
  }
}

/** Puts a file in the place of whatever non-directory is at `path`, in one step. `temporary` is in the same directory. */
export function replaceFile(fs: FileSystem, path: string, temporary: string, file: NewFile): void {
  try {
    createAnew(fs, temporary, file)
    fs.renameSync(temporary, path)
  } catch (error) {
    removeIfThere(fs, temporary)
    throw error
  }
}

/** What a run that could not even tidy up left under the name goes: its mode may be too open for the new content. */
function createAnew(fs: FileSystem, path: string, file: NewFile): void {
  try {
    createFile(fs, path, file)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
    fs.unlinkSync(path)
    createFile(fs, path, file)
  }
}

/**
 * Makes a directory of mode 0755, whatever the umask; a set-group-id bit that it inherits stays.
 * @returns whether it had that mode from the start
 */
export function makeDirectory(fs: FileSystem, path: string): boolean {
  fs.mkdirSync(path, DIRECTORY_MODE)
  return repairDirectory(fs, path)
}

/** Gives a directory of ours its mode back; tells whether it had it. */
export function repairDirectory(fs: FileSystem, path: string): boolean {
  const mode = fs.lstatSync(path).mode & 0o7777
  const isRight = (mode & 0o777) === DIRECTORY_MODE
  if (!isRight) fs.chmodSync(path, (mode & 0o7000) | DIRECTORY_MODE)
  return isRight
}

/** Tidying that must not hide the error it follows, and cannot fail for a file that is already gone. */
export function removeIfThere(fs: FileSystem, path: string): void {
  try {
    fs.unlinkSync(path)
  } catch {
    // what stays behind is removed by the next run
  }
}

/** Names in a directory; none where it is missing or closed to us. */
export function namesIn(fs: FileSystem, directory: string): string[] {
  try {
    return fs.readdirSync(directory)
  } catch {
    return []
  }
}
