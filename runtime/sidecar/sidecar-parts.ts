import type { Plan } from '../../schema/plan.ts'
import type { EventJournal, OutboxState } from './events/event-journal.ts'
import { initialMachine, type MachineState } from './machine-state.ts'
import type { Operations } from './operations.ts'
import type { ResourceSnapshot } from './resources/resource-snapshot.ts'
import { VERSION } from './version.ts'
import type { SidecarView } from './view.ts'
import type { Workload } from './workload/workload.ts'

/** What hangs itself into the view once it is loaded: assign to a field, and `view` shows it from then on. */
export interface SidecarParts {
  machine: () => MachineState
  resources: () => ResourceSnapshot | null
  workload: (service: string) => Workload | null
  operations: Operations | null
  journal: EventJournal | null
  outbox: () => OutboxState | null
}

/** The one view of a sidecar, and the parts behind it. Until its loop runs, every service of the machine is down. */
export function createParts(plan: Plan, bootId: string, nowMs = Date.now): { view: SidecarView; parts: SidecarParts } {
  const initial = initialMachine(plan, nowMs())
  const parts: SidecarParts = {
    machine: () => initial,
    resources: () => null,
    workload: () => null,
    operations: null,
    journal: null,
    outbox: () => null,
  }
  const view: SidecarView = {
    plan,
    version: VERSION,
    bootId,
    nowMs,
    machine: () => parts.machine(),
    resources: () => parts.resources(),
    workload: (service) => parts.workload(service),
    operations: () => parts.operations,
    journal: () => parts.journal,
    outbox: () => parts.outbox(),
  }
  return { view, parts }
}
