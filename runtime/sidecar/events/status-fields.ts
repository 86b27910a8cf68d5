import { isSatisfied } from '../machine-state.ts'
import type { SidecarView } from '../view.ts'
import type { EventJournal } from './event-journal.ts'
import type { StatusFields } from './redis-voice.ts'
import type { Told } from './told.ts'

/**
 * The fields of the status hash: `machine`, `boot_id`, `seq` (of the newest event), `at`, `state`, `healthy`, `version`,
 * `started_at`, `gpus`, `services_ready`, `services_total`, `workers` (JSON: id -> state), `services` (JSON: name -> state).
 */
export function statusFields(view: SidecarView, told: Told, journal: EventJournal): StatusFields {
  const { plan, version, bootId } = view
  const machine = view.machine()
  const records = [...machine.services.values()]
  return {
    machine: plan.machine.id,
    boot_id: bootId,
    seq: journal.lastSeq(),
    at: new Date(view.nowMs()).toISOString(),
    state: told.phase,
    healthy: String(told.healthy),
    version,
    started_at: new Date(machine.startedAtMs).toISOString(),
    gpus: plan.gpus.length,
    services_ready: records.filter(isSatisfied).length,
    services_total: records.length,
    workers: JSON.stringify(Object.fromEntries([...told.workers].map(([id, { state }]) => [id, state]))),
    services: JSON.stringify(Object.fromEntries(records.map(({ service, state }) => [service.name, state]))),
  }
}
