import {
  closeSync,
  copyFileSync,
  createReadStream,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  rmSync,
  type Stats,
  symlinkSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { createTarDecoder, type ParsedTarEntry } from 'modern-tar'
import { ArchiveError, checkLinkText, entryPath, quote } from './archive-path.ts'

export interface UnpackLimits {
  /** Of all files together, unpacked. */
  readonly bytes: number
  readonly entries: number
}

/** Ten times what a worker with all its packages has; a bomb reaches it before it fills a disk. */
export const PACKAGE_LIMITS: UnpackLimits = { bytes: 2 * 1024 ** 3, entries: 100_000 }

/** What the loop over entries adds up. */
interface Unpacking {
  readonly directory: string
  readonly limits: UnpackLimits
  entries: number
  bytes: number
  readonly links: string[]
}

type Header = ParsedTarEntry['header']
type Body = AsyncIterable<Uint8Array>

/**
 * Unpacks a tar archive, gzipped or not, into an empty directory. Only files, directories and links that stay inside get
 * there, with modes 0644 or 0755, owned by this process; anything else in it is an `ArchiveError`, and so are an archive
 * that is cut and one that exceeds the limits.
 */
export async function unpackArchive(
  archive: string,
  directory: string,
  limits: UnpackLimits = PACKAGE_LIMITS,
): Promise<{ readonly entries: number; readonly bytes: number }> {
  const unpacking: Unpacking = { directory: realpathSync.native(directory), limits, entries: 0, bytes: 0, links: [] }
  const file = createReadStream(archive)
  const plain = isGzip(archive) ? file.pipe(createGunzip()) : file
  file.on('error', (error) => plain.destroy(error))
  try {
    const bytes = Readable.toWeb(plain) as unknown as ReadableStream<Uint8Array>
    for await (const { header, body } of bytes.pipeThrough(createTarDecoder({ strict: true }))) {
      await unpackEntry(unpacking, header, body as unknown as Body)
    }
  } catch (error) {
    throw asArchiveError(error)
  } finally {
    file.destroy()
    plain.destroy()
  }
  if (unpacking.entries === 0) throw new ArchiveError('it is empty, or no tar archive')
  for (const link of unpacking.links) checkLink(unpacking.directory, link)
  const { entries, bytes } = unpacking
  return { entries, bytes }
}

function isGzip(path: string): boolean {
  const descriptor = openSync(path, 'r')
  try {
    const magic = Buffer.alloc(2)
    return readSync(descriptor, magic, 0, 2, 0) === 2 && magic[0] === 0x1f && magic[1] === 0x8b
  } finally {
    closeSync(descriptor)
  }
}

/** A failed write is the disk's fault; whatever else goes wrong is the archive's. */
function asArchiveError(error: unknown): Error {
  const { code, message } = error as NodeJS.ErrnoException
  if (error instanceof ArchiveError || (code !== undefined && /^E[A-Z]/.test(code) && !code.startsWith('ERR_'))) {
    return error as Error
  }
  return new ArchiveError(`it is damaged or no tar archive: ${message}`)
}

async function unpackEntry(unpacking: Unpacking, header: Header, body: Body): Promise<void> {
  unpacking.entries += 1
  if (unpacking.entries > unpacking.limits.entries) {
    throw new ArchiveError(`it has more than ${unpacking.limits.entries} entries`)
  }
  const path = entryPath(header.name)
  const type = header.type ?? 'file'
  const isDirectory = type === 'directory' || (type === 'file' && header.name.endsWith('/'))
  if (isDirectory) makeDirectories(unpacking, path)
  else if (path === '') throw new ArchiveError('it has a file without a name')
  else if (type === 'file') await writeFile(unpacking, path, header, body)
  else if (type === 'symlink') makeLink(unpacking, path, header.linkname ?? '')
  else if (type === 'link') copyLinked(unpacking, path, entryPath(header.linkname ?? ''))
  else throw new ArchiveError(`its entry ${quote(header.name)} is a ${type}`)
  // What has no use for its bytes must still read them, or the next entry never comes.
  if (isDirectory || type !== 'file') for await (const _ of body);
}

/** Makes the directories of a path, through none that is a link. */
function makeDirectories({ directory }: Unpacking, path: string): void {
  let at = directory
  for (const segment of path === '' || path === '.' ? [] : path.split('/')) {
    at = `${at}/${segment}`
    const there = look(at)
    if (there === undefined) mkdirSync(at, { mode: 0o755 })
    else if (!there.isDirectory())
      throw new ArchiveError(`it has something below ${quote(path)}, which is no directory`)
  }
}

/** Frees the place of a file: a later entry of the same name counts. */
function makePlace(unpacking: Unpacking, path: string): string {
  makeDirectories(unpacking, dirname(path))
  const place = `${unpacking.directory}/${path}`
  const there = look(place)
  if (there?.isDirectory()) throw new ArchiveError(`it has ${quote(path)} as a directory and as something else`)
  if (there !== undefined) rmSync(place)
  return place
}

const look = (path: string): Stats | undefined => lstatSync(path, { throwIfNoEntry: false })

async function writeFile(unpacking: Unpacking, path: string, header: Header, body: Body): Promise<void> {
  const mode = ((header.mode ?? 0) & 0o111) === 0 ? 0o644 : 0o755
  const descriptor = openSync(makePlace(unpacking, path), 'wx', mode)
  let written = 0
  try {
    for await (const bytes of body) {
      count(unpacking, bytes.length)
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at, bytes.length - at)
      written += bytes.length
    }
  } finally {
    closeSync(descriptor)
  }
  if (written !== header.size) throw new ArchiveError(`it is cut within ${quote(path)}`)
}

function count(unpacking: Unpacking, bytes: number): void {
  unpacking.bytes += bytes
  if (unpacking.bytes > unpacking.limits.bytes) {
    throw new ArchiveError(`its files have more than ${unpacking.limits.bytes} bytes`)
  }
}

function makeLink(unpacking: Unpacking, path: string, target: string): void {
  checkLinkText(path, target)
  symlinkSync(target, makePlace(unpacking, path))
  unpacking.links.push(path)
}

/** A second name of a file becomes a copy: what one version changes is no other's. */
function copyLinked(unpacking: Unpacking, path: string, original: string): void {
  const from = `${unpacking.directory}/${original}`
  const there = original === path ? undefined : look(from)
  makeDirectories(unpacking, dirname(original))
  if (!there?.isFile()) throw new ArchiveError(`its link ${quote(path)} leads to ${quote(original)}, which is no file`)
  count(unpacking, there.size)
  copyFileSync(from, makePlace(unpacking, path))
}

/** Links through links may end anywhere, whatever each of them says: where they really end counts. */
export function checkLink(directory: string, path: string): void {
  let end: string
  try {
    // Not Node's own way of it, which takes `link/..` for nothing at all, whatever the link leads to.
    end = realpathSync.native(`${directory}/${path}`)
  } catch {
    throw new ArchiveError(`its link ${quote(path)} leads to nothing`)
  }
  if (end !== directory && !end.startsWith(`${directory}/`))
    throw new ArchiveError(`its link ${quote(path)} leads out of it`)
}
