import type { Plan } from '../../schema/plan.ts'
import type { LogStore } from '../shared/logs/log-store.ts'
import type { EventJournal, OutboxState } from './events/event-journal.ts'
import type { HttpParts } from './http/http-parts.ts'
import type { MachineLoopOptions } from './machine-loop.ts'
import { initialMachine, type MachineState } from './machine-state.ts'
import type { MetricsPage } from './metrics/metrics-page.ts'
import type { Operations } from './operations.ts'
import type { WorkerSaysReady } from './probes/prober.ts'
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
  logs: LogStore | null
  /** The page of metrics. */
  metrics: MetricsPage | null
  /** Counts a probe. */
  onProbe: MachineLoopOptions['onProbe'] | null
  /** What Redis says of a worker. */
  workerSaysReady: WorkerSaysReady
  /** Publishes the status of the machine now. */
  publishStatus: (() => void) | null
}

/** The one view of a sidecar, and the parts behind it. Until its loop runs, every service of the machine is down. */
export function createParts(
  plan: Plan,
  bootId: string,
  nowMs = Date.now,
): { view: SidecarView; parts: SidecarParts; http: HttpParts } {
  const initial = initialMachine(plan, nowMs())
  const parts: SidecarParts = {
    machine: () => initial,
    resources: () => null,
    workload: () => null,
    operations: null,
    journal: null,
    outbox: () => null,
    logs: null,
    metrics: null,
    onProbe: null,
    workerSaysReady: () => null,
    publishStatus: null,
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
  const http: HttpParts = {
    view,
    logs: () => parts.logs,
    metrics: () => parts.metrics,
    publishStatus: () => parts.publishStatus,
  }
  return { view, parts, http }
}
