import { mkdirSync } from 'node:fs'
import type { MachinePaths } from '../../schema/plan.ts'
import { writeFileAtomically } from './atomic-file.ts'
import type { EventDraft } from './machine-event.ts'

/** A spooled event: the draft with the time at which it happened. */
export type SpooledEvent = EventDraft & { readonly at: string }

/** Where programs other than the sidecar leave events for it; on the volume, so that none is lost with a container. */
export function spoolDirectory(paths: Pick<MachinePaths, 'state'>): string {
  return `${paths.state}/spool`
}

let count = 0

/**
 * Leaves an event for the sidecar, which takes it into its journal within moments, or when it next runs. Appears whole or
 * not at all; file names sort by time. Throws where the volume cannot be written: callers say so and go on.
 */
export function spoolEvent(directory: string, draft: EventDraft, nowMs: number): void {
  mkdirSync(directory, { recursive: true })
  const event: SpooledEvent = { ...draft, at: draft.at ?? new Date(nowMs).toISOString() }
  count += 1
  const order = `${String(nowMs).padStart(15, '0')}-${process.pid}-${String(count).padStart(6, '0')}`
  writeFileAtomically(`${directory}/${order}.json`, JSON.stringify(event), 0o644)
}
