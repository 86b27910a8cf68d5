import { type Stats, statSync } from 'node:fs'
import type { MachinePaths, PlannedModel } from '../../../schema/plan.ts'
import { openTaskState, type TaskState } from '../framework/task-state.ts'

/** What is known of a model that was found right: as long as its file is untouched, nothing need be looked at again. */
export interface ModelRecord {
  readonly target: string
  readonly sizeBytes: number
  readonly mtimeMs: number
  /** `null` where nothing asked for it. */
  readonly sha256: string | null
}

/** A version that was fetched and was not what it should be: fetching it again would give it again. */
export interface RefusedVersion {
  readonly refused: string
  readonly version: string
  readonly wanted: string
}

export type ModelEntry = ModelRecord | RefusedVersion

export interface ModelState {
  /** The record of a model of this plan, whichever of the tasks has made it. */
  readonly recordOf: (model: PlannedModel) => ModelRecord | null
  /** The record of a file that one of the tasks has put there. */
  readonly recordAt: (target: string) => ModelRecord | null
  readonly refusalOf: (model: PlannedModel) => RefusedVersion | null
  readonly note: (model: PlannedModel, entry: ModelEntry) => void
}

export const MODEL_TASKS = { 'before-start': 'models', background: 'models-background' } as const

/** Both tasks read what either knows, and each writes its own. */
export function openModelState(paths: Pick<MachinePaths, 'state'>, when: keyof typeof MODEL_TASKS): ModelState {
  const open = (task: string) => openTaskState(paths, task, isEntry)
  const own = open(MODEL_TASKS[when])
  const other = open(MODEL_TASKS[when === 'background' ? 'before-start' : 'background'])
  const find = (key: string) => own.get(key) ?? other.get(key)
  const records = (state: TaskState<ModelEntry>) =>
    state
      .entries()
      .map(([, entry]) => entry)
      .filter(isRecord)
  return {
    recordOf: (model) => {
      const entry = find(keyOf(model))
      return entry !== undefined && isRecord(entry) ? entry : null
    },
    recordAt: (target) => [...records(own), ...records(other)].find((record) => record.target === target) ?? null,
    refusalOf: (model) => {
      const entry = find(keyOf(model))
      return entry !== undefined && !isRecord(entry) ? entry : null
    },
    note: (model, entry) => {
      const key = keyOf(model)
      if (isRecord(entry)) forgetOthers(own, key, entry.target)
      own.set(key, entry)
    },
  }
}

/** One file, one record: an entry that got another source is not two. */
function forgetOthers(state: TaskState<ModelEntry>, key: string, target: string): void {
  for (const [other, entry] of state.entries()) {
    if (other !== key && isRecord(entry) && entry.target === target) state.set(other, null)
  }
}

/** What is wanted, by its content: another source or another place is another entry. */
const keyOf = ({ url, directory, file }: PlannedModel): string => `${url} > ${directory}/${file ?? ''}`

function isRecord(entry: ModelEntry): entry is ModelRecord {
  return 'target' in entry
}

function isEntry(value: unknown): value is ModelEntry {
  if (typeof value !== 'object' || value === null) return false
  const entry = value as Partial<ModelRecord & RefusedVersion>
  if (typeof entry.refused === 'string') return typeof entry.version === 'string' && typeof entry.wanted === 'string'
  return (
    typeof entry.target === 'string' &&
    typeof entry.sizeBytes === 'number' &&
    typeof entry.mtimeMs === 'number' &&
    (entry.sha256 === null || typeof entry.sha256 === 'string')
  )
}

/** Whether a file is still the one of its record, untouched. */
export function isUntouched(record: ModelRecord, stats: Stats | undefined): boolean {
  return stats?.isFile() === true && stats.size === record.sizeBytes && stats.mtimeMs === record.mtimeMs
}

export function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false })
}
