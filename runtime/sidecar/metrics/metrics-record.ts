import { mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { writeFileAtomically } from '../../shared/atomic-file.ts'
import { type AccessTotals, dumpAccessTotals, emptyAccessTotals, restoreAccessTotals } from './access-totals.ts'
import type { LogPosition } from './line-follower.ts'

/**
 * What a sidecar leaves to the next one of the same boot: counters and up to where the log is in them, in one file, so that
 * a request is counted once however the sidecar ends.
 */
export interface MetricsRecord {
  readonly bootId: string
  readonly totals: AccessTotals
  readonly position: LogPosition | null
}

/** The record of this boot, or a new one where there is none that can be used. */
export function loadRecord(file: string, bootId: string, routes: ReadonlySet<string>): MetricsRecord {
  const fresh = { bootId, totals: emptyAccessTotals(), position: null }
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return fresh
  }
  try {
    return readRecord(JSON.parse(text), bootId, routes) ?? fresh
  } catch {
    // A counter that starts again at nothing is what Prometheus expects of a restart.
    return fresh
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
