import type { Plan } from '../../../schema/plan.ts'
import { initialMachine, type MachineState } from '../machine-state.ts'
import { type BootRecord, enterBoot } from './boot-history.ts'
import { NO_HISTORY, nextBootHistory, type ServiceHistory } from './service-history.ts'
import { initialRecord, type KeptRecord } from './service-record.ts'

/** What the volume keeps, for the next boot: one file. */
export interface KeptHistory {
  readonly v: 1
  readonly bootId: string
  readonly savedAtMs: number
  readonly boots: readonly BootRecord[]
  readonly services: Readonly<Record<string, ServiceHistory>>
}

/** What the run directory keeps of a service, for the next sidecar of the same boot: a file a service. */
export interface KeptService {
  readonly v: 1
  readonly bootId: string
  readonly record: KeptRecord
}

export interface Kept {
  readonly history: KeptHistory | null
  /** Of this boot, by name. */
  readonly services: ReadonlyMap<string, KeptRecord>
  /** The boots as this boot's sidecars have kept them; newer than those of `history`. */
  readonly boots: readonly BootRecord[] | null
}

export interface ThisBoot {
  readonly id: string
  readonly startedAtMs: number
}

/**
 * The machine as it is known before anything is looked at: what the last sidecar of this boot knew, else what the volume
 * tells of earlier boots.
 */
export function restoreMachine(plan: Pick<Plan, 'services'>, kept: Kept, boot: ThisBoot, nowMs: number): MachineState {
  const machine = initialMachine(plan, nowMs)
  const services = new Map(
    plan.services.map((service) => {
      const known = kept.services.get(service.name)
      const initial = initialRecord(service, nowMs)
      if (known !== undefined) return [service.name, { ...initial, ...known, history: complete(known.history) }]
      return [service.name, { ...initial, history: historyOf(kept.history, service.name, boot.id) }]
    }),
  )
  const before = kept.boots ?? kept.history?.boots ?? []
  const boots = enterBoot(before, boot.id, boot.startedAtMs, kept.history?.savedAtMs ?? null)
  return { ...machine, services, boots, stopping: boots.at(-1)?.ended === 'graceful' }
}

function historyOf(kept: KeptHistory | null, name: string, bootId: string): ServiceHistory {
  const known = kept !== null && Object.hasOwn(kept.services, name) ? kept.services[name] : undefined
  if (known === undefined) return NO_HISTORY
  return kept?.bootId === bootId ? complete(known) : nextBootHistory(complete(known))
}

/** Fields that an older sidecar did not know get their beginning. */
function complete(history: ServiceHistory): ServiceHistory {
  return { ...NO_HISTORY, ...history, exits: { ...NO_HISTORY.exits, ...history.exits } }
}

/** What the volume is to keep. */
export function historyToKeep(machine: MachineState, bootId: string, nowMs: number): KeptHistory {
  const services = [...machine.services].map(([name, { history }]) => [name, history])
  return { v: 1, bootId, savedAtMs: nowMs, boots: machine.boots, services: Object.fromEntries(services) }
}

/** A file of the volume or of the run directory, if it is one of ours and whole. */
export function parseKept<T extends { readonly v: 1; readonly bootId: string }>(text: string): T | null {
  try {
    const value: unknown = JSON.parse(text)
    const isOurs = typeof value === 'object' && value !== null && (value as T).v === 1
    return isOurs && typeof (value as T).bootId === 'string' ? (value as T) : null
  } catch {
    return null
  }
}
