import { mkdirSync, readFileSync } from 'node:fs'
import type { MachinePaths } from '../../../schema/plan.ts'
import { writeFileAtomically } from '../../shared/atomic-file.ts'

/** Where provisioners keep what they know of the volume. */
export function stateDirectory(paths: Pick<MachinePaths, 'state'>): string {
  return `${paths.state}/provision`
}

/** What one provisioner knows of what it has made, by a key that says of what content: a target, a hash. */
export interface TaskState<Entry> {
  readonly get: (key: string) => Entry | undefined
  readonly entries: () => readonly (readonly [string, Entry])[]
  /** Keeps or, with `null`, forgets an entry; on the volume when it returns. */
  readonly set: (key: string, entry: Entry | null) => void
}

/**
 * The state of a task: `<state>/provision/<task>.json`. One that cannot be read counts as none, since everything in it can
 * be found out again; `isEntry` drops entries of another form.
 */
export function openTaskState<Entry>(
  paths: Pick<MachinePaths, 'state'>,
  task: string,
  isEntry: (value: unknown) => value is Entry,
): TaskState<Entry> {
  const file = `${stateDirectory(paths)}/${task}.json`
  const entries = new Map(readEntries(file).filter((pair): pair is [string, Entry] => isEntry(pair[1])))
  return {
    get: (key) => entries.get(key),
    entries: () => [...entries],
    set: (key, entry) => {
      if (entry === null) entries.delete(key)
      else entries.set(key, entry)
      mkdirSync(stateDirectory(paths), { recursive: true })
      const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1))
      writeFileAtomically(file, `${JSON.stringify({ v: 1, entries: Object.fromEntries(sorted) })}\n`, 0o644)
    },
  }
}

function readEntries(file: string): [string, unknown][] {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as { readonly v?: unknown; readonly entries?: object }
    return value.v === 1 && typeof value.entries === 'object' ? Object.entries(value.entries) : []
  } catch {
    return []
  }
}
