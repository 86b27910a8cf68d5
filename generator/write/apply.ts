import type { Artifact } from '../artifact.ts'
import {
  type Change,
  type Conflict,
  compare,
  neededDirectories,
  type Owned,
  ownedBy,
  type WantedFile,
  wantedFiles,
} from './compare.ts'
import { type Disk, EMPTY_DISK, openDisk } from './disk.ts'
import { type FileSystem, NODE_FILE_SYSTEM } from './file-system.ts'
import { takeLock } from './lock.ts'
import {
  type FileRecord,
  formatManifest,
  type Manifest,
  NO_TREE,
  readTreeState,
  sha256,
  type TreeState,
} from './manifest.ts'
import { findOutputDirectory } from './output-directory.ts'
import { perform, type Work } from './perform.ts'
import { stageTree } from './stage.ts'

export interface ApplyOptions {
  readonly outputDirectory: string
  readonly artifacts: readonly Artifact[]
  /** Kept in the manifest as they are: hashes of what the artifacts were made from. */
  readonly inputs?: Readonly<Record<string, string>>
  /** Only say what would change. @default false */
  readonly dryRun?: boolean
  /** Replace files that no run wrote, where an artifact belongs. @default false */
  readonly force?: boolean
  /** How long to wait for another run in the same directory. @default 2000 */
  readonly lockTimeoutMs?: number
  /** @default node:fs */
  readonly fileSystem?: FileSystem
}

export interface ApplyResult {
  /** Absolute, without links. */
  readonly outputDirectory: string
  readonly changes: readonly Change[]
  /** Where there is one, nothing was written. */
  readonly conflicts: readonly Conflict[]
  readonly unchangedCount: number
  /** An earlier run was killed on the way; unless this is a dry run or has conflicts, the tree is complete now. */
  readonly wasUnfinished: boolean
}

/** Longer than any run takes, shorter than a user's patience. */
const LOCK_TIMEOUT_MS = 2000

/** Findings; who only asks whether there is anything to do wants one. */
const ALL = Number.POSITIVE_INFINITY

interface Plan extends Work {
  readonly conflicts: readonly Conflict[]
}

/**
 * Makes the output directory hold the artifacts: new and changed files are written, orphans of earlier runs removed,
 * everything else left alone, unchanged files too. Whatever the moment it is killed at, no file is half written, and
 * the tree is the old one, the new one, or marked unfinished for the next run to complete. Why that holds:
 * docs/decisions/0003-atomic-write.md.
 *
 * @throws WriteError `WRITE_FAILED`, `READ_FAILED`, `LOCKED`, `BAD_ARTIFACT`
 */
export function applyTree(options: ApplyOptions): ApplyResult {
  const { outputDirectory, dryRun = false, fileSystem: fs = NODE_FILE_SYSTEM } = options
  const { root, exists } = findOutputDirectory(outputDirectory, 'WRITE_FAILED', fs)
  const wanted = wantedFiles(options.artifacts)
  const look = (state: TreeState, most: number) => makePlan(root, wanted, options, state, openDisk(root, fs), most)

  if (!exists) {
    const plan = planNewTree(root, wanted, options)
    if (dryRun || stageTree(root, wanted, plan.manifest, fs)) return resultOf(plan)
  }
  const state = readTreeState(root, fs)
  const seen = look(state, dryRun || isForeign(state) ? ALL : 1)
  if (dryRun || isDone(seen)) return resultOf(seen)
  // a directory that no run has ever touched stays untouched, without even a lock
  if (seen.conflicts.length > 0 && isForeign(readTreeState(root, fs))) return resultOf(seen)

  const lock = takeLock(root, fs, options.lockTimeoutMs ?? LOCK_TIMEOUT_MS)
  try {
    // whoever had the lock before may have changed what was seen
    const plan = look(readTreeState(root, fs), ALL)
    if (plan.conflicts.length === 0) perform(plan, fs)
    return resultOf(plan)
  } finally {
    lock.release()
  }
}

/** Where nothing is, nothing is compared. */
function planNewTree(root: string, wanted: Work['wanted'], { inputs = {} }: ApplyOptions): Plan {
  const owned = ownedBy(undefined, undefined)
  const changes = wanted.map(({ path, mode }): Change => ({ path, kind: 'create', replaces: 'nothing', mode }))
  const manifest = manifestOf(wanted, inputs, owned, EMPTY_DISK)
  return { root, wanted, state: NO_TREE, disk: EMPTY_DISK, owned, changes, conflicts: [], manifest }
}

function makePlan(
  root: string,
  wanted: Work['wanted'],
  { inputs = {}, force = false }: ApplyOptions,
  state: TreeState,
  disk: Disk,
  most: number,
): Plan {
  const owned = ownedBy(state.manifest, state.journal)
  const changes: Change[] = []
  const conflicts: Conflict[] = []
  for (const finding of compare({ wanted, owned, disk, force })) {
    if (finding.kind === 'conflict') conflicts.push(finding)
    else changes.push(finding)
    if (changes.length + conflicts.length >= most) break
  }
  return { root, wanted, state, disk, owned, changes, conflicts, manifest: manifestOf(wanted, inputs, owned, disk) }
}

/** The manifest that the run will leave. Of the directories, those are ours that a run made or has still to make. */
function manifestOf(wanted: Work['wanted'], inputs: Manifest['inputs'], owned: Owned, disk: Disk): Manifest {
  const files = new Map<string, FileRecord>()
  // Most files of a tree are one of a few short texts: `longrun`, a timeout, nothing.
  const known = new Map<string | Uint8Array, FileRecord>()
  for (const file of wanted) files.set(file.path, recordOf(file, known))
  const isOurs = (path: string) => owned.directories.has(path) || !disk.isDirectory(path)
  return { inputs, files, directories: neededDirectories(wanted).filter(isOurs) }
}

function recordOf(file: WantedFile, known: Map<string | Uint8Array, FileRecord>): FileRecord {
  const { mode, original } = file
  if (original !== undefined) return { mode, sha256: original.sha256, sizeBytes: original.sizeBytes }
  const { content } = file
  const like = known.get(content)
  if (like?.mode === mode) return like
  const { sha256: hash, sizeBytes } = like ?? { sha256: sha256(content), sizeBytes: Buffer.byteLength(content) }
  const record = { mode, sha256: hash, sizeBytes }
  known.set(content, record)
  return record
}

function isDone({ state, changes, conflicts, manifest }: Plan): boolean {
  return (
    changes.length + conflicts.length === 0 &&
    state.state === 'complete' &&
    state.otherNames.length === 0 &&
    state.manifest !== undefined &&
    formatManifest(state.manifest) === formatManifest(manifest)
  )
}

function isForeign({ state, otherNames }: TreeState): boolean {
  return state === 'absent' && otherNames.length === 0
}

function resultOf({ root, wanted, changes, conflicts, state }: Plan): ApplyResult {
  const changedCount = changes.filter((change) => change.kind !== 'remove').length + conflicts.length
  return {
    outputDirectory: root,
    changes,
    conflicts,
    unchangedCount: wanted.length - changedCount,
    wasUnfinished: state.state === 'unfinished',
  }
}
