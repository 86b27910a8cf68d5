import type { SidecarView } from '../view.ts'
import type { WorkerRecord } from '../workers/worker-record.ts'
import type { FileJournal } from './file-journal.ts'
import { hostFacts, resolvePublicUrl } from './originals/host-facts.ts'
import { machineStatus, type UpdateType } from './originals/machine-status.ts'
import { type StartupVoice, startupVoice } from './originals/startup-voice.ts'
import { statusVoice } from './originals/status-voice.ts'
import { type RedisVoice, streamVoice } from './redis-voice.ts'
import { statusFields } from './status-fields.ts'
import type { Told } from './told.ts'

export interface VoicesOptions {
  readonly view: SidecarView
  readonly journal: FileJournal
  readonly told: () => Told
  readonly recordOf: (workerId: string) => WorkerRecord
}

export interface Voices {
  readonly all: readonly RedisVoice[]
  /** That of the first generation; `null` where it is switched off. */
  readonly startup: StartupVoice | null
}

/** All ways in which this machine speaks to Redis: its own, and those of the generations that its file does not switch off. */
export function createVoices({ view, journal, told, recordOf }: VoicesOptions): Voices {
  const { plan, version, nowMs } = view
  const { announcements } = plan.redis
  const publicUrl = resolvePublicUrl(plan.sidecar.publicUrl)
  const statusOf = (updateType: UpdateType) =>
    machineStatus(
      {
        plan,
        version,
        publicUrl,
        recordOf,
        machine: view.machine(),
        told: told(),
        workload: view.workload,
        nowMs: nowMs(),
      },
      updateType,
    )
  const startup = announcements.startupEvents
    ? startupVoice({
        facts: { plan, host: hostFacts() },
        journal,
        findStart: (bootId) => journal.findLast((head) => head.bootId === bootId && head.type === 'machine.started'),
        nowMs,
      })
    : null
  const own = streamVoice(plan.machine.id, () => statusFields(view, told(), journal))
  const status = announcements.machineStatus
    ? [statusVoice({ machine: plan.machine.id, bootId: view.bootId }, statusOf)]
    : []
  return { all: [own, ...(startup === null ? [] : [startup]), ...status], startup }
}
