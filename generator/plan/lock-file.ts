import type { CustomNode } from '../../schema/custom-node.ts'
import { isWholeCommit } from '../../schema/git-url.ts'
import type { Machine, Model } from '../../schema/machine.ts'
import type { Finding, PlanContext } from '../services/service-type.ts'

/** What `machinegen lock` found out about a model, and wrote beside the machine file. */
export interface LockedModel {
  readonly url: string
  readonly file: string
  readonly sizeBytes: number
  readonly sha256: string
  /** The commit that a branch of Hugging Face was at. */
  readonly revision?: string
  /** The source's word for this version: as long as it is the same, the file need not be hashed again. */
  readonly validator?: string
}

/** The commit that a branch of a custom node was at. */
export interface LockedNode {
  readonly url: string
  readonly branch: string | null
  readonly commit: string
}

/** The lock file of a machine: `machine.lock.json` beside `machine.yaml`. */
export interface LockFile {
  readonly version: 1
  readonly models: readonly LockedModel[]
  /** Of the nodes in the machine file. Absent: nodes are not locked. */
  readonly nodes?: readonly LockedNode[]
}

/** Reads a lock file, or says what is wrong with it. */
export function parseLockFile(text: string): LockFile | { readonly problem: string } {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { problem: 'it is not JSON' }
  }
  if (typeof value !== 'object' || value === null) return { problem: 'it is no map' }
  const { version, models, nodes } = value as Partial<LockFile>
  if (version !== 1) return { problem: `its version is ${JSON.stringify(version)}, and this reads version 1` }
  if (!Array.isArray(models) || !models.every(isLockedModel))
    return { problem: 'its "models" are not what lock writes' }
  if (nodes !== undefined && !(Array.isArray(nodes) && nodes.every(isLockedNode)))
    return { problem: 'its "nodes" are not what lock writes' }
  return value as LockFile
}

/** The lock of a machine with something to lock; `null` without one, and where it cannot be read, which is reported. */
export function readLock(
  lock: { readonly file: string; readonly text: string } | null,
  { models, customNodes }: Pick<Machine, 'models' | 'customNodes'>,
  report: (finding: Finding) => void,
): LockFile | null {
  if (lock === null || (models.length === 0 && (customNodes?.nodes ?? []).length === 0)) return null
  const parsed = parseLockFile(lock.text)
  if (!('problem' in parsed)) return parsed
  report({
    code: 'LOCK_INVALID',
    severity: 'error',
    pointer: models.length > 0 ? '/models' : '/customNodes',
    part: 'key',
    message: `cannot read the lock file "${lock.file}": ${parsed.problem}`,
    hint: 'write it anew with "machinegen lock", or remove it',
  })
  return null
}

function isLockedModel(value: unknown): value is LockedModel {
  if (typeof value !== 'object' || value === null) return false
  const { url, file, sizeBytes, sha256, revision } = value as Partial<LockedModel>
  return (
    typeof url === 'string' &&
    typeof file === 'string' &&
    /^[^/.][^/]*(\/[^/.][^/]*)*$/.test(file) &&
    Number.isSafeInteger(sizeBytes) &&
    /^[0-9a-f]{64}$/.test(sha256 ?? '') &&
    (revision === undefined || typeof revision === 'string')
  )
}

function isLockedNode(value: unknown): value is LockedNode {
  if (typeof value !== 'object' || value === null) return false
  const { url, branch, commit } = value as Partial<LockedNode>
  return typeof url === 'string' && (branch === null || typeof branch === 'string') && isWholeCommit(commit ?? '')
}

/** The commit that a node is locked at; `null` where nodes are not locked, where it names its commit itself, and after a finding about a stale lock. */
export function lockedCommit(
  { lock, report }: PlanContext,
  node: Pick<CustomNode, 'url' | 'branch' | 'commit'>,
  index: number,
): string | null {
  if (lock?.nodes === undefined || isWholeCommit(node.commit ?? '')) return null
  const locked = lock.nodes.find(({ url, branch }) => url === node.url && branch === node.branch)
  if (locked?.commit.startsWith(node.commit ?? '')) return locked.commit
  const why =
    locked === undefined ? 'the lock file does not have it' : `it is locked at another commit, ${locked.commit}`
  report({
    code: 'LOCK_STALE',
    severity: 'error',
    pointer: `/customNodes/nodes/${index}`,
    message: `cannot use customNodes.nodes[${index}]: ${why}`,
    hint: 'run "machinegen lock" again, and look at what changed',
  })
  return null
}

/** What the lock file says of a model; `null` for a machine without one, and after a finding about what it lacks. */
export function lockedModel({ lock, report }: PlanContext, model: Model, index: number): LockedModel | null {
  if (lock === null) return null
  const locked = lock.models.find(({ url }) => url === model.url)
  const problem =
    locked === undefined
      ? 'the lock file does not have it'
      : model.sha256 !== undefined && model.sha256.toLowerCase() !== locked.sha256
        ? `its sha256 is not the one in the lock file, ${locked.sha256}`
        : model.sizeBytes !== undefined && model.sizeBytes !== locked.sizeBytes
          ? `its sizeBytes is not the one in the lock file, ${locked.sizeBytes}`
          : null
  if (problem === null) return locked ?? null
  report({
    code: 'LOCK_STALE',
    severity: 'error',
    pointer: `/models/${index}`,
    message: `cannot use models[${index}]: ${problem}`,
    hint: 'run "machinegen lock" again, and look at what changed',
  })
  return null
}
