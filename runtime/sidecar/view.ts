import type { Plan } from '../../schema/plan.ts'
import type { EventJournal, OutboxState } from './events/event-journal.ts'
import type { MachineState } from './machine-state.ts'
import type { Operations } from './operations.ts'
import type { ResourceSnapshot } from './resources/resource-snapshot.ts'
import type { Workload } from './workload/workload.ts'

/**
 * What the parts of the sidecar that answer questions (HTTP, metrics, announcements) see of it. Parts that are not loaded
 * yet in the first moments of a boot are `null`.
 */
export interface SidecarView {
  readonly plan: Plan
  readonly version: string
  readonly bootId: string
  readonly nowMs: () => number
  readonly machine: () => MachineState
  readonly resources: () => ResourceSnapshot | null
  readonly workload: (service: string) => Workload | null
  readonly operations: () => Operations | null
  readonly journal: () => EventJournal | null
  readonly outbox: () => OutboxState | null
}
