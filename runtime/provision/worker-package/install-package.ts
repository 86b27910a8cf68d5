import { statSync } from 'node:fs'
import type { PlannedWorkerPackage } from '../../../schema/plan.ts'
import { runCommand } from '../framework/run-command.ts'
import type { TaskContext } from '../framework/task.ts'
import { ArchiveError } from './archive-path.ts'
import { copyBundle, fingerprint } from './copy-bundle.ts'
import { dropOuterDirectory, findEntryPoint, linkEntryPoint, packageVersion } from './entry-point.ts'
import { discardArchive, fetchPackage, hashFile, hashMessage } from './fetch-package.ts'
import type { PackageVersions } from './package-versions.ts'
import { unpackArchive } from './unpack-archive.ts'

/** What is known of an installed version; the key is the name of its directory. */
export interface PackageRecord {
  /** URL or path that it came from. */
  readonly source: string
  /** Of the archive, or of all files of a directory. */
  readonly sha256: string
  readonly version: string | null
  /** The program, as a path in the package. */
  readonly entry: string
  /** What says without reading all of it that the source is the same still. */
  readonly validator: string | null
  /** ISO 8601, UTC. */
  readonly installedAt: string
}

export function isPackageRecord(value: unknown): value is PackageRecord {
  const { source, sha256, entry } = (value ?? {}) as Partial<PackageRecord>
  return typeof source === 'string' && typeof sha256 === 'string' && typeof entry === 'string'
}

export const sourceOf = ({ localPath, url }: PlannedWorkerPackage): string => localPath ?? url

interface Content {
  readonly sha256: string
  readonly validator: string | null
}

/**
 * Brings the version that the source has now into `versions/`, verified, without switching to it. `'unchanged'`: the
 * source has the one of `known`. Nothing of a version that fails is left.
 */
export async function installPackage(
  context: TaskContext,
  wanted: PlannedWorkerPackage,
  versions: PackageVersions,
  known: PackageRecord | null,
): Promise<{ readonly name: string; readonly record: PackageRecord } | 'unchanged'> {
  const directory = versions.begin()
  try {
    const content = await fill(context, wanted, directory, known?.validator ?? null)
    return content === 'unchanged' ? content : await finish(context, wanted, versions, directory, content)
  } finally {
    versions.drop(directory)
  }
}

async function finish(
  context: TaskContext,
  wanted: PlannedWorkerPackage,
  versions: PackageVersions,
  directory: string,
  content: Content,
): Promise<{ readonly name: string; readonly record: PackageRecord }> {
  context.report.phase('unpacking')
  dropOuterDirectory(directory)
  const entry = findEntryPoint(directory, wanted)
  if (entry === null) {
    throw new ArchiveError(`it has no "${wanted.entryName}": not at its top, in "worker" or in "dist"`)
  }
  const version = packageVersion(directory)
  linkEntryPoint(directory, entry, wanted.entryLink)
  await bringToDisk(directory)
  const name = `${version ?? 'unversioned'}-${content.sha256.slice(0, 12)}`
  versions.keep(directory, name)
  discardArchive(wanted)
  const installedAt = new Date().toISOString()
  const { sha256, validator } = content
  return { name, record: { source: sourceOf(wanted), sha256, validator, version, entry, installedAt } }
}

async function fill(
  context: TaskContext,
  wanted: PlannedWorkerPackage,
  directory: string,
  known: string | null,
): Promise<Content | 'unchanged'> {
  if (wanted.localPath !== null) return fillFromDisk(wanted, wanted.localPath, directory, known)
  const fetched = await fetchPackage(context, wanted, known)
  if (fetched === 'unchanged') return fetched
  context.report.phase('unpacking')
  try {
    await unpackArchive(fetched.archive, directory)
  } catch (error) {
    // The next attempt shall not find it in the place of a download.
    discardArchive(wanted)
    throw error
  }
  return fetched
}

async function fillFromDisk(
  { sha256: wanted }: PlannedWorkerPackage,
  localPath: string,
  directory: string,
  known: string | null,
): Promise<Content | 'unchanged'> {
  const stats = statSync(localPath, { throwIfNoEntry: false })
  if (stats === undefined) throw new ArchiveError(`there is no "${localPath}"`)
  const validator = stats.isDirectory() ? fingerprint(localPath) : `${stats.size} ${stats.mtimeMs}`
  if (validator === known) return 'unchanged'
  if (stats.isDirectory()) {
    const sha256 = copyBundle(localPath, directory)
    if (wanted !== null) throw new ArchiveError('a directory has no SHA-256: remove "sha256", or name an archive')
    return { sha256, validator }
  }
  const sha256 = await hashFile(localPath)
  if (wanted !== null && sha256 !== wanted) throw new ArchiveError(hashMessage(wanted, sha256))
  await unpackArchive(localPath, directory)
  return { sha256, validator }
}

/** One call for all files; where the program is missing, the kernel writes them within a minute anyway. */
async function bringToDisk(directory: string): Promise<void> {
  await runCommand(['sync', '-f', directory], { timeoutMs: 60_000 })
}
