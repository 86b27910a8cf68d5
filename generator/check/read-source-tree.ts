import { closeSync, openSync, readdirSync, readlinkSync, readSync, type Stats, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { treeLayout } from './layout.ts'
import type { DirectoryEntry, Entry, FileEntry, SourceTree } from './source-tree.ts'

/** A run script is a page of text; what is larger is a program, and its head says enough. */
const FILE_LIMIT_BYTES = 256 * 1024
/** s6-svscan supervises at most some thousand services, each a dozen files: more is the wrong directory. */
const ENTRY_LIMIT = 50_000
/** `etc/s6-overlay/s6-rc.d/<service>/data/<file>` and room below `data`. */
const DEPTH_LIMIT = 12
/** What a rootfs has to say about services; the rest of it is not read. */
const ROOTFS_PARTS = ['.machinegen', 'etc/s6-overlay', 'etc/cont-profile.d']

interface Reader {
  readonly root: string
  readonly rootfs: boolean
  entries: number
  absoluteLinks: boolean
}

/**
 * Reads an s6-rc source tree: a rootfs, an s6-overlay profile, a source or several. Only regular files are opened, at
 * most 256 KiB of each.
 *
 * @throws Error `cannot check "DIR": ...` where DIR cannot be read or holds more than 50,000 files.
 */
export function readSourceTree(directory: string): SourceTree {
  try {
    const rootfs = isDirectory(join(directory, 'etc/s6-overlay'))
    const reader: Reader = { root: directory, rootfs, entries: 0, absoluteLinks: false }
    const root = rootfs ? readRootfs(reader) : readDirectory(reader, '', false, 0)
    return { layout: rootfs ? 'rootfs' : treeLayout(root), root, absoluteLinks: reader.absoluteLinks }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`cannot check "${directory}": ${reason}`, { cause: error })
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

function readRootfs(reader: Reader): DirectoryEntry {
  const root = new Map<string, Entry>()
  const etc = new Map<string, Entry>()
  for (const part of ROOTFS_PARTS) {
    if (!isDirectory(join(reader.root, part))) continue
    const entry = readDirectory(reader, part, false, 0)
    if (part.startsWith('etc/')) etc.set(part.slice('etc/'.length), entry)
    else root.set(part, entry)
  }
  root.set('etc', { kind: 'directory', path: 'etc', entries: etc, linked: false })
  return { kind: 'directory', path: '', entries: root, linked: false }
}

function readDirectory(reader: Reader, path: string, linked: boolean, depth: number): DirectoryEntry {
  const entries = new Map<string, Entry>()
  for (const { name, isLink } of listNames(join(reader.root, path))) {
    reader.entries += 1
    if (reader.entries > ENTRY_LIMIT) throw new Error(`it holds more than ${ENTRY_LIMIT} files`)
    const child = path === '' ? name : `${path}/${name}`
    entries.set(name, readEntry(reader, child, isLink, depth + 1))
  }
  return { kind: 'directory', path, entries, linked }
}

function listNames(directory: string): { name: string; isLink: boolean }[] {
  return readdirSync(directory, { withFileTypes: true })
    .map((entry) => ({ name: entry.name, isLink: entry.isSymbolicLink() }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function readEntry(reader: Reader, path: string, isLink: boolean, depth: number): Entry {
  const where = isLink ? linkTarget(reader, path) : join(reader.root, path)
  try {
    const stats = statSync(where, { throwIfNoEntry: false })
    if (stats === undefined) return { kind: 'dangling', path }
    if (stats.isFile()) return readFile(where, path, stats, isLink)
    if (!stats.isDirectory()) return { kind: 'special', path }
    if (skipsContent(path) || depth >= DEPTH_LIMIT) {
      return { kind: 'directory', path, entries: new Map(), linked: isLink }
    }
    return readDirectory(reader, path, isLink, depth)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ELOOP') return { kind: 'dangling', path }
    if (code === 'EACCES' || code === 'EPERM') return { kind: 'denied', path }
    throw error
  }
}

/** s6-rc ignores dot names; `.git` and its like are also large. */
function skipsContent(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return name.startsWith('.') && name !== '.machinegen'
}

/** In a rootfs an absolute link means a path of the container. */
function linkTarget(reader: Reader, path: string): string {
  const link = join(reader.root, path)
  if (!reader.rootfs) return link
  const target = readlinkSync(link)
  if (!isAbsolute(target)) return link
  reader.absoluteLinks = true
  return join(reader.root, target)
}

function readFile(where: string, path: string, stats: Stats, linked: boolean): FileEntry {
  const descriptor = openSync(where, 'r')
  try {
    const buffer = Buffer.alloc(Math.min(stats.size, FILE_LIMIT_BYTES))
    const length = readSync(descriptor, buffer, 0, buffer.length, 0)
    const truncated = stats.size > FILE_LIMIT_BYTES
    return { kind: 'file', path, mode: stats.mode & 0o7777, bytes: buffer.subarray(0, length), truncated, linked }
  } finally {
    closeSync(descriptor)
  }
}
