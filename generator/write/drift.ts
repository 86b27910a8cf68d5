import type { Artifact } from '../artifact.ts'
import { byCodeUnits } from './artifact-path.ts'
import { type Change, type Conflict, compare, ownedBy, wantedFiles } from './compare.ts'
import { type Disk, EMPTY_DISK, openDisk } from './disk.ts'
import { type FileSystem, NODE_FILE_SYSTEM } from './file-system.ts'
import { type FileRecord, formatMode, JOURNAL_PATH, type Manifest, NO_TREE, readTreeState, sha256 } from './manifest.ts'
import { findOutputDirectory } from './output-directory.ts'

/** One way in which a tree is not what it should be. */
export interface Drift {
  /** Relative to the output directory. */
  readonly path: string
  /** `orphaned`: a run made it, and nothing asks for it any more. `unfinished`: of the tree as a whole. */
  readonly kind: 'missing' | 'changed' | 'mode' | 'orphaned' | 'unfinished'
  /** A statement, without the path: `has mode 0600, not 0644`. */
  readonly message: string
}

export interface Verdict {
  readonly state: 'absent' | 'unfinished' | 'complete'
  /** What the last run was made from; absent with the manifest. */
  readonly inputs?: Readonly<Record<string, string>>
  readonly drift: readonly Drift[]
}

/**
 * Whether the tree is still what the last run wrote, by the hashes of its manifest. Reads every file of it.
 * @throws WriteError `READ_FAILED`
 */
export function verifyAgainstManifest(outputDirectory: string, fs: FileSystem = NODE_FILE_SYSTEM): Verdict {
  const { root, exists } = findOutputDirectory(outputDirectory, 'READ_FAILED', fs)
  if (!exists) return { state: 'absent', drift: [] }
  const { state, manifest, damage } = readTreeState(root, fs)
  return {
    state,
    ...(manifest && { inputs: manifest.inputs }),
    drift: [...unfinishedDrift(state, damage), ...(manifest ? manifestDrift(manifest, openDisk(root, fs)) : [])],
  }
}

/**
 * Whether a run from these inputs would change nothing, without making a single artifact: the tree is complete, was made
 * from the same inputs, and no file of it was touched since. Stops at the first difference; a tree that cannot be read
 * is not unchanged.
 */
export function treeIsUnchanged(
  outputDirectory: string,
  inputs: Readonly<Record<string, string>>,
  fs: FileSystem = NODE_FILE_SYSTEM,
): boolean {
  try {
    const { root, exists } = findOutputDirectory(outputDirectory, 'READ_FAILED', fs)
    if (!exists) return false
    const { state, manifest, otherNames } = readTreeState(root, fs)
    if (state !== 'complete' || manifest === undefined || otherNames.length > 0) return false
    if (!sameInputs(manifest.inputs, inputs)) return false
    return manifestDrift(manifest, openDisk(root, fs)).next().done === true
  } catch {
    return false
  }
}

function sameInputs(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name])
}

/**
 * Where the tree differs from the artifacts: what `render` would write or remove.
 * @throws WriteError `READ_FAILED`, `BAD_ARTIFACT`
 */
export function compareTree(
  outputDirectory: string,
  artifacts: readonly Artifact[],
  fs: FileSystem = NODE_FILE_SYSTEM,
): Drift[] {
  const { root, exists } = findOutputDirectory(outputDirectory, 'READ_FAILED', fs)
  const wanted = wantedFiles(artifacts)
  const tree = exists ? readTreeState(root, fs) : NO_TREE
  const disk = exists ? openDisk(root, fs) : EMPTY_DISK
  const owned = ownedBy(tree.manifest, tree.journal)
  const drift = [...compare({ wanted, owned, disk, force: false })].flatMap(driftOf)
  return [...unfinishedDrift(tree.state, tree.damage), ...drift.sort((a, b) => byCodeUnits(a.path, b.path))]
}

function unfinishedDrift(state: Verdict['state'], damage: string | undefined): Drift[] {
  if (state !== 'unfinished') return []
  const message = damage ?? 'a run was killed while it wrote this tree: render again to complete it'
  return [{ path: JOURNAL_PATH, kind: 'unfinished', message }]
}

function driftOf(finding: Change | Conflict): Drift[] {
  const { path } = finding
  switch (finding.kind) {
    case 'create':
      return [{ path, kind: 'missing', message: 'is missing' }]
    case 'remove':
      return [{ path, kind: 'orphaned', message: 'is no part of this machine any more' }]
    case 'update':
      return [{ path, kind: 'changed', message: 'has other content' }]
    case 'conflict':
      return [{ path, kind: 'changed', message: finding.message }]
    default:
      return finding.mode === finding.previousMode ? [] : [modeDrift(path, finding.previousMode!, finding.mode!)]
  }
}

function modeDrift(path: string, mode: number, wantedMode: number): Drift {
  return { path, kind: 'mode', message: `has mode ${formatMode(mode)}, not ${formatMode(wantedMode)}` }
}

function* manifestDrift(manifest: Manifest, disk: Disk): Generator<Drift> {
  for (const [path, record] of manifest.files) {
    const drift = fileDrift(path, record, disk)
    if (drift !== undefined) yield drift
  }
}

function fileDrift(path: string, record: FileRecord, disk: Disk): Drift | undefined {
  const entry = disk.entry(path)
  if (entry.kind === 'absent') return { path, kind: 'missing', message: 'is missing' }
  if (entry.kind === 'blocked') return { path, kind: 'missing', message: `is missing: "${entry.by}" is no directory` }
  if (entry.kind !== 'file') return { path, kind: 'changed', message: 'is not a regular file any more' }
  const content = entry.sizeBytes === record.sizeBytes ? entry.read() : undefined
  if (content === undefined || sha256(content) !== record.sha256)
    return { path, kind: 'changed', message: 'has other content' }
  return entry.mode === record.mode ? undefined : modeDrift(path, entry.mode, record.mode)
}
