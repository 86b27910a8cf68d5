import { mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { MachinePaths } from '../../../schema/plan.ts'
import { writeFileAtomically } from '../../shared/atomic-file.ts'
import { journalDirectory } from './file-journal.ts'

/** How far Redis has acknowledged the events, kept over deaths of the sidecar. */
export interface OutboxCursor {
  /** `null`: nobody knows. */
  readonly read: () => number | null
  /** Notes it within moments. Notes that are lost cost events that are sent twice. */
  readonly note: (seq: number) => void
  readonly close: () => void
}

const DELAY_MS = 200

export function openCursor(paths: Pick<MachinePaths, 'state'>): OutboxCursor {
  const path = `${journalDirectory(paths)}/cursor.json`
  let noted: number | null = null
  let timer: NodeJS.Timeout | undefined

  const save = () => {
    timer = undefined
    if (noted === null) return
    try {
      mkdirSync(dirname(path), { recursive: true })
      writeFileAtomically(path, `${JSON.stringify({ acknowledged: noted })}\n`, 0o644)
      noted = null
    } catch {
      // A full disk: the next note tries again, and the journal has said so.
    }
  }

  return {
    read: () => {
      try {
        const { acknowledged } = JSON.parse(readFileSync(path, 'utf8')) as { acknowledged: unknown }
        return Number.isSafeInteger(acknowledged) && (acknowledged as number) >= 0 ? (acknowledged as number) : null
      } catch {
        return null
      }
    },
    note: (seq) => {
      noted = seq
      timer ??= setTimeout(save, DELAY_MS).unref()
    },
    close: () => {
      clearTimeout(timer)
      save()
    },
  }
}
