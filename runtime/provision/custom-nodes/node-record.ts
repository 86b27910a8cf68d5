import type { MachinePaths } from '../../../schema/plan.ts'
import { openTaskState, type TaskState } from '../framework/task-state.ts'

/** What became of a node: the report on it, and what the next run need not do again. */
export interface NodeRecord {
  readonly url: string
  readonly branch: string | null
  /** The commit that is checked out. */
  readonly commit: string | null
  /** `kept`: what is in its place is not the machine's, and was left alone. */
  readonly status: 'ok' | 'failed' | 'kept'
  /** Why it failed. */
  readonly problem: string | null
  /** What somebody should know: edits that were kept, variables that were not set. */
  readonly notes: readonly string[]
  /** ISO 8601, UTC. */
  readonly at: string
  /** For what its requirements were installed, and its script was run: digests of all that goes in. */
  readonly requirements: string | null
  readonly script: string | null
  /** Digest of the `.env` that was written. */
  readonly env: string | null
  /** Digest of what its script changed in its files. */
  readonly edits: string | null
}

export type NodeState = TaskState<NodeRecord>

/** `<state>/provision/custom-nodes.json`. */
export function openNodeState(paths: Pick<MachinePaths, 'state'>): NodeState {
  return openTaskState(paths, 'custom-nodes', isNodeRecord)
}

function isNodeRecord(value: unknown): value is NodeRecord {
  if (typeof value !== 'object' || value === null) return false
  const { url, status, notes } = value as Partial<NodeRecord>
  return typeof url === 'string' && typeof status === 'string' && Array.isArray(notes)
}
