import { mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { writeFileAtomically } from '../../shared/atomic-file.ts'
import { type AccessTotals, dumpAccessTotals, restoreAccessTotals } from './access-totals.ts'
import type { LogPosition } from './line-follower.ts'

/**
 * What a sidecar leaves to the next one of the same boot: counters and up to where the log is in them, in one file, so that
 * a request is counted once however the sidecar ends.
 */
export interface MetricsRecord {
  readonly bootId: string
  readonly totals: AccessTotals
  /** `null`: there was no log yet. */
  readonly position: LogPosition | null
}

/**
 * The record of this boot; `null` where there is none that can be used: counters start again at nothing then, as
 * Prometheus expects of a restart.
 */
export function loadRecord(file: string, bootId: string, routes: ReadonlySet<string>): MetricsRecord | null {
  try {
    return readRecord(JSON.parse(readFileSync(file, 'utf8')), bootId, routes)
  } catch {
    return null
  }
}

function readRecord(data: Record<string, unknown>, bootId: string, routes: ReadonlySet<string>): MetricsRecord | null {
  if (data.bootId !== bootId) return null
  const position = data.position as LogPosition | null
  if (position !== null && !(isPlace(position.inode) && isPlace(position.offset))) return null
  return { bootId, totals: restoreAccessTotals(data.totals, routes), position }
}

function isPlace(value: unknown): value is number {
  return typeof value === 'number' && value >= 0
}

/** Keeps the record. Throws where it cannot be written. */
export function saveRecord(file: string, { totals, ...rest }: MetricsRecord): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileAtomically(file, JSON.stringify({ ...rest, totals: dumpAccessTotals(totals) }), 0o644)
}
