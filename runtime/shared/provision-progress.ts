import { readFileSync } from 'node:fs'
import type { MachinePaths } from '../../schema/plan.ts'

/**
 * How far a provisioning task is, as it stands in `<run>/progress/<service>.json` while the task runs and after it: for
 * the sidecar and for the boot table of `up`. The file is replaced whole, at most four times a second.
 */
export interface ProvisionProgress {
  readonly v: 1
  readonly task: string
  readonly service: string
  readonly pid: number
  readonly state: 'running' | 'done' | 'failed'
  /** What it is at: `checking`, `downloading`, `waiting for process 123`. */
  readonly phase: string
  /** What it works on now; of several, the one that will take longest. */
  readonly item: string | null
  readonly bytes: number
  /** `null` where nobody knows the whole yet. */
  readonly totalBytes: number | null
  readonly bytesPerSecond: number
  readonly etaSeconds: number | null
  /** Items that have their result, and how many there are. */
  readonly done: number
  readonly total: number
  /** What hinders it at the moment, or why it failed. */
  readonly problem: string | null
  /** ISO 8601, UTC. */
  readonly startedAt: string
  readonly at: string
}

export function progressDirectory(paths: Pick<MachinePaths, 'run'>): string {
  return `${paths.run}/progress`
}

export function progressFile(paths: Pick<MachinePaths, 'run'>, service: string): string {
  return `${progressDirectory(paths)}/${service}.json`
}

/** The progress of a task, `null` where it has not run since the machine booted. Cheap: one small file. */
export function readProgress(paths: Pick<MachinePaths, 'run'>, service: string): ProvisionProgress | null {
  try {
    const value = JSON.parse(readFileSync(progressFile(paths, service), 'utf8')) as ProvisionProgress
    return value.v === 1 && value.service === service ? value : null
  } catch {
    return null
  }
}
