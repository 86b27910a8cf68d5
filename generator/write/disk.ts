import { constants, type Stats } from 'node:fs'
import { directoryOf } from './artifact-path.ts'
import type { FileSystem } from './file-system.ts'
import { naming, systemCode } from './write-error.ts'

export interface FileOnDisk {
  readonly kind: 'file'
  readonly mode: number
  readonly sizeBytes: number
  readonly userId: number
  readonly groupId: number
  /** `undefined` where the file is gone by now. @throws WriteError `READ_FAILED` */
  readonly read: () => Buffer | undefined
}

/** What is at a path. `blocked`: `by`, a directory of the path, is something else. */
export type DiskEntry =
  | FileOnDisk
  | { readonly kind: 'absent' | 'directory' | 'symlink' | 'other' }
  | { readonly kind: 'blocked'; readonly by: string; readonly what: 'file' | 'symlink' | 'other' }

/** The output directory as it is; looks at a path only when asked, at a directory only once, and never through a link. */
export interface Disk {
  entry(path: string): DiskEntry
  /** Whether it was a directory when first asked. */
  isDirectory(path: string): boolean
  /** Paths directly below a directory. */
  below(directory: string): string[]
}

type DirectoryState = Exclude<DiskEntry, FileOnDisk>

const ABSENT = { kind: 'absent' } as const
const DIRECTORY = { kind: 'directory' } as const

/** A disk with nothing on it: an output directory that does not exist. */
export const EMPTY_DISK: Disk = { entry: () => ABSENT, isDirectory: () => false, below: () => [] }

/** @throws WriteError `READ_FAILED`, also from the functions of the disk */
export function openDisk(root: string, fs: FileSystem): Disk {
  const directories = new Map<string, DirectoryState>([['', DIRECTORY]])

  function stats(path: string): Stats | undefined {
    const file = `${root}/${path}`
    return naming('READ_FAILED', file, () => fs.lstatSync(file, { throwIfNoEntry: false }))
  }

  function directory(path: string): DirectoryState {
    const known = directories.get(path)
    if (known !== undefined) return known
    const above = directory(directoryOf(path))
    const state = above.kind === 'directory' ? onTheWay(path, stats(path)) : above
    directories.set(path, state)
    return state
  }

  return {
    entry(path) {
      const above = directory(directoryOf(path))
      if (above.kind !== 'directory') return above
      const found = stats(path)
      if (found === undefined) return ABSENT
      if (!found.isFile()) return { kind: kindOf(found) as 'directory' | 'symlink' | 'other' }
      return {
        kind: 'file',
        mode: found.mode & 0o7777,
        sizeBytes: found.size,
        userId: found.uid,
        groupId: found.gid,
        read: () => readFile(fs, `${root}/${path}`, found.size),
      }
    },
    isDirectory: (path) => directory(path).kind === 'directory',
    below(path) {
      const file = `${root}/${path}`
      return naming('READ_FAILED', file, () => fs.readdirSync(file)).map((name) => `${path}/${name}`)
    },
  }
}

function onTheWay(path: string, found: Stats | undefined): DirectoryState {
  if (found === undefined) return ABSENT
  const kind = kindOf(found)
  return kind === 'directory' ? DIRECTORY : { kind: 'blocked', by: path, what: kind }
}

function kindOf(stats: Stats): 'file' | 'directory' | 'symlink' | 'other' {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  return stats.isSymbolicLink() ? 'symlink' : 'other'
}

function readFile(fs: FileSystem, file: string, sizeBytes: number): Buffer | undefined {
  return naming('READ_FAILED', file, () => {
    const descriptor = openRegular(fs, file)
    if (descriptor === undefined) return undefined
    try {
      // three calls where readFileSync has four: the size is known, and a file that grew meanwhile differs anyhow
      const content = Buffer.allocUnsafe(sizeBytes)
      let length = 0
      for (let read = -1; read !== 0 && length < sizeBytes; length += read)
        read = fs.readSync(descriptor, content, length, sizeBytes - length, null)
      return content.subarray(0, length)
    } finally {
      fs.closeSync(descriptor)
    }
  })
}

function openRegular(fs: FileSystem, file: string): number | undefined {
  try {
    return fs.openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    if (['ENOENT', 'ELOOP'].includes(systemCode(error) ?? '')) return undefined
    throw error
  }
}
