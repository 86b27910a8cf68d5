import type { Artifact, Original } from '../artifact.ts'
import { byCodeUnits, directoryOf, isTemporary, pathProblem } from './artifact-path.ts'
import type { Disk, FileOnDisk } from './disk.ts'
import { type FileRecord, type Journal, type Manifest, sha256 } from './manifest.ts'
import { writeError } from './write-error.ts'

/** An artifact whose path is sound. Text stays text: Node hashes and writes it without a copy. */
export interface WantedFile {
  readonly path: string
  readonly mode: number
  readonly content: string | Uint8Array
  readonly original?: Original
}

/** What earlier runs, finished or not, made. */
export interface Owned {
  /** By path; every version that a run may have left there, none where that is not known. */
  readonly files: ReadonlyMap<string, readonly FileRecord[]>
  readonly directories: ReadonlySet<string>
}

export interface Change {
  readonly path: string
  /** `adopt`: a foreign file that is already as wanted becomes ours; it is not touched. */
  readonly kind: 'create' | 'update' | 'mode' | 'remove' | 'adopt'
  /** Whose version goes: what a run wrote, that edited since, or a file we never wrote (only with `force`). */
  readonly replaces: 'nothing' | 'ours' | 'edited' | 'foreign'
  readonly mode?: number
  readonly previousMode?: number
  /** Of a regular file that is replaced, for the new one to keep. */
  readonly owner?: { readonly userId: number; readonly groupId: number }
}

/** Why an artifact cannot be written; a finding for the user, not an error of the system. */
export interface Conflict {
  readonly path: string
  readonly kind: 'conflict'
  readonly message: string
  readonly hint: string
}

export interface Comparison {
  readonly wanted: readonly WantedFile[]
  readonly owned: Owned
  readonly disk: Disk
  /** Foreign files in the place of artifacts are replaced. Links on the way and foreign directories never are. */
  readonly force: boolean
}

/**
 * Artifacts sorted by path.
 * @throws WriteError `BAD_ARTIFACT` for a path outside the output directory, a path given twice, or a file that is also
 * the directory of another
 */
export function wantedFiles(artifacts: readonly Artifact[]): WantedFile[] {
  const wanted = [...artifacts].sort((a, b) => byCodeUnits(a.path, b.path))
  let before: Artifact | undefined
  for (const artifact of wanted) {
    const { path, source } = artifact
    const problem = pathProblem(path)
    if (problem !== undefined) throw writeError('BAD_ARTIFACT', path, problem)
    if (path === before?.path) throw writeError('BAD_ARTIFACT', path, `both "${before.source}" and "${source}" make it`)
    before = artifact
  }
  const directories = new Set(neededDirectories(wanted))
  const file = wanted.find(({ path }) => directories.has(path))
  const below = file && wanted.find(({ path }) => path.startsWith(`${file.path}/`))
  if (below) throw writeError('BAD_ARTIFACT', below.path, `"${file.path}" is a file`)
  return wanted
}

/** The content of a file as it is on the disk. */
export function bytesOf(content: string | Uint8Array): Buffer {
  if (typeof content === 'string') return Buffer.from(content)
  return Buffer.from(content.buffer, content.byteOffset, content.byteLength)
}

/** Everything that a finished run, or one that was killed on the way, may have made. */
export function ownedBy(manifest: Manifest | undefined, journal: Journal | undefined): Owned {
  const files = new Map<string, FileRecord[]>()
  for (const record of [manifest, journal])
    for (const [path, file] of record?.files ?? []) files.set(path, [...(files.get(path) ?? []), file])
  for (const path of journal?.remove ?? []) if (!files.has(path)) files.set(path, [])
  return { files, directories: new Set([...(manifest?.directories ?? []), ...(journal?.directories ?? [])]) }
}

/**
 * What differs between the artifacts and the disk, in the order of paths, removals last. Lazy: who only wants to know
 * whether anything differs stops at the first.
 */
export function* compare(comparison: Comparison): Generator<Change | Conflict> {
  const wantedPaths = new Set(comparison.wanted.map((file) => file.path))
  for (const file of comparison.wanted) {
    const finding = compareFile(file, comparison, wantedPaths)
    if (finding !== undefined) yield finding
  }
  for (const path of [...comparison.owned.files.keys()].sort()) {
    if (wantedPaths.has(path)) continue
    const removal = compareOrphan(path, comparison)
    if (removal !== undefined) yield removal
  }
}

function compareFile(
  file: WantedFile,
  comparison: Comparison,
  wantedPaths: Set<string>,
): Change | Conflict | undefined {
  const { path, mode } = file
  const { owned, disk, force } = comparison
  const isGoing = (other: string) => owned.files.has(other) && !wantedPaths.has(other)
  const entry = disk.entry(path)
  switch (entry.kind) {
    case 'absent':
      return { path, kind: 'create', replaces: 'nothing', mode }
    case 'file':
      return compareContent(file, entry, comparison)
    case 'blocked':
      if (isGoing(entry.by)) return { path, kind: 'create', replaces: 'nothing', mode }
      return conflict(path, `"${entry.by}" is ${NAMES[entry.what]}, not a directory`, 'remove it')
    case 'directory':
      if (directoryGoes(path, comparison, isGoing)) return { path, kind: 'create', replaces: 'nothing', mode }
      return conflict(path, 'a directory is in its place', 'remove it')
    default:
      if (owned.files.has(path)) return { path, kind: 'update', replaces: 'edited', mode }
      if (force) return { path, kind: 'update', replaces: 'foreign', mode }
      return conflict(path, `${NAMES[entry.kind]} that machinegen did not write is in its place`, FORCE_HINT)
  }
}

const FORCE_HINT = 'move it away, or replace it with --force'
const NAMES = { file: 'a file', symlink: 'a symbolic link', other: 'a special file' } as const

function conflict(path: string, why: string, hint: string): Conflict {
  return { path, kind: 'conflict', message: `cannot write "${path}": ${why}`, hint }
}

function compareContent(file: WantedFile, entry: FileOnDisk, comparison: Comparison): Change | Conflict | undefined {
  const { path, mode } = file
  const content = bytesOf(file.content)
  const onDisk = entry.sizeBytes === content.length ? entry.read() : undefined
  const isSame = onDisk?.equals(content) ?? false
  const records = comparison.owned.files.get(path)
  if (isSame && entry.mode === mode && records !== undefined) return undefined

  const owner = { userId: entry.userId, groupId: entry.groupId }
  const change = { path, mode, previousMode: entry.mode, owner }
  if (records !== undefined)
    return { ...change, kind: isSame ? 'mode' : 'update', replaces: isAsWritten(entry, records) ? 'ours' : 'edited' }
  if (isSame) return { ...change, kind: 'adopt', replaces: 'foreign' }
  if (comparison.force) return { ...change, kind: 'update', replaces: 'foreign' }
  return conflict(path, 'a file that machinegen did not write is in its place', FORCE_HINT)
}

function compareOrphan(path: string, { owned, disk }: Comparison): Change | undefined {
  const entry = disk.entry(path)
  if (entry.kind === 'symlink' || entry.kind === 'other') return { path, kind: 'remove', replaces: 'edited' }
  // gone already, or in the place of ours there is now a directory of somebody else
  if (entry.kind !== 'file') return undefined
  const isEdited = !isAsWritten(entry, owned.files.get(path) ?? [])
  return { path, kind: 'remove', replaces: isEdited ? 'edited' : 'ours', previousMode: entry.mode }
}

function isAsWritten(entry: FileOnDisk, records: readonly FileRecord[]): boolean {
  const candidates = records.filter((record) => record.mode === entry.mode && record.sizeBytes === entry.sizeBytes)
  if (candidates.length === 0) return false
  const content = entry.read()
  const hash = content && sha256(content)
  return candidates.some((record) => record.sha256 === hash)
}

/** Whether a directory that we made will be gone once the orphans, and what a killed run left, are removed. */
function directoryGoes(directory: string, comparison: Comparison, isGoing: (path: string) => boolean): boolean {
  if (!comparison.owned.directories.has(directory)) return false
  return comparison.disk
    .below(directory)
    .every((path) =>
      comparison.disk.entry(path).kind === 'directory'
        ? directoryGoes(path, comparison, isGoing)
        : isGoing(path) || isTemporary(path),
    )
}

const directoriesOf = new WeakMap<readonly WantedFile[], readonly string[]>()

/** Directories that the artifacts need, outermost first. Found once for a list, which is not changed after. */
export function neededDirectories(wanted: readonly WantedFile[]): readonly string[] {
  const known = directoriesOf.get(wanted)
  if (known !== undefined) return known
  const directories = findDirectories(wanted)
  directoriesOf.set(wanted, directories)
  return directories
}

function findDirectories(wanted: readonly WantedFile[]): string[] {
  const needed = new Set<string>()
  let last = ''
  for (const { path } of wanted) {
    // files of one directory come one after the other
    if (path.lastIndexOf('/') === last.length && path.startsWith(last)) continue
    last = directoryOf(path)
    for (let above = last; above !== '' && !needed.has(above); above = directoryOf(above)) needed.add(above)
  }
  return [...needed].sort()
}
