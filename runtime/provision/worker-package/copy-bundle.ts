import { createHash, type Hash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
} from 'node:fs'
import { ArchiveError, checkLinkText, quote } from './archive-path.ts'
import { checkLink, PACKAGE_LIMITS } from './unpack-archive.ts'

interface BundleEntry {
  readonly path: string
  readonly kind: 'file' | 'directory' | 'link'
  readonly mode: number
  readonly sizeBytes: number
  readonly mtimeMs: number
}

/** Says of a directory what it is, without reading its files: the same text means that nobody has touched it. */
export function fingerprint(directory: string): string {
  const hash = createHash('sha256')
  for (const { path, kind, mode, sizeBytes, mtimeMs } of listBundle(directory)) {
    hash.update(`${JSON.stringify([path, kind, mode, sizeBytes, mtimeMs])}\n`)
  }
  return hash.digest('hex')
}

/**
 * Copies a directory that holds a package into an empty one; gives the SHA-256 of all that is in it. Links stay links
 * where they stay inside; anything that is no file, directory or such a link is an `ArchiveError`.
 */
export function copyBundle(source: string, target: string): string {
  const root = realpathSync.native(source)
  const hash = createHash('sha256')
  for (const entry of listBundle(root)) copyEntry(root, target, entry, hash)
  return hash.digest('hex')
}

function copyEntry(root: string, target: string, { path, kind, mode }: BundleEntry, hash: Hash): void {
  const from = `${root}/${path}`
  const to = `${target}/${path}`
  hash.update(`${JSON.stringify([path, kind, mode])}\n`)
  if (kind === 'directory') {
    mkdirSync(to, { mode: 0o755 })
  } else if (kind === 'link') {
    const text = readlinkSync(from)
    checkLinkText(path, text)
    checkLink(root, path)
    hash.update(text)
    symlinkSync(text, to)
  } else {
    copyFileSync(from, to)
    chmodSync(to, mode)
    hash.update(readFileSync(to))
  }
}

/** Everything in it, parents first, in an order that is the same everywhere. */
function listBundle(root: string): BundleEntry[] {
  const entries: BundleEntry[] = []
  let bytes = 0
  const visit = (directory: string): void => {
    for (const name of readdirSync(`${root}/${directory}`).sort()) {
      const path = directory === '' ? name : `${directory}/${name}`
      const entry = describe(root, path)
      bytes += entry.sizeBytes
      entries.push(entry)
      if (entries.length > PACKAGE_LIMITS.entries || bytes > PACKAGE_LIMITS.bytes) {
        throw new ArchiveError('it is too large for a package')
      }
      if (entry.kind === 'directory') visit(path)
    }
  }
  visit('')
  return entries
}

function describe(root: string, path: string): BundleEntry {
  const stats = lstatSync(`${root}/${path}`)
  const { mtimeMs } = stats
  if (stats.isDirectory()) return { path, kind: 'directory', mode: 0o755, sizeBytes: 0, mtimeMs: 0 }
  if (stats.isSymbolicLink()) return { path, kind: 'link', mode: 0o777, sizeBytes: stats.size, mtimeMs }
  if (!stats.isFile()) throw new ArchiveError(`its ${quote(path)} is no file`)
  return { path, kind: 'file', mode: (stats.mode & 0o111) === 0 ? 0o644 : 0o755, sizeBytes: stats.size, mtimeMs }
}
