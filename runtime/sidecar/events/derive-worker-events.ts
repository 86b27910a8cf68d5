import type { PlannedService } from '../../../schema/plan.ts'
import type { EventDraft, EventProgress, WorkerState } from '../../shared/machine-event.ts'
import { isSatisfied, type ServiceRecord } from '../machine-state.ts'
import type { Facts } from './derive-events.ts'
import type { Told } from './told.ts'

/** A worker that goes on downloading says how far it is this often. */
const PROGRESS_INTERVAL_MS = 5000

interface WorkerView {
  readonly state: WorkerState
  readonly reason: string | null
  readonly progress: EventProgress | null
  /** What a busy one is busy with. */
  readonly job?: string
}

/**
 * The states of a job worker that were not told yet. It is announced at the first moment, before anything of it runs; what
 * it waits for then shows as its own progress.
 */
export function deriveWorkerEvents(told: Told, facts: Facts, service: PlannedService): EventDraft[] {
  const { workerId } = service
  if (workerId === null) return []
  const before = told.workers.get(workerId)
  const announced =
    before === undefined ? [workerEvent(service, { state: 'announcing', reason: null, progress: null })] : []
  const last = before?.state ?? 'announcing'
  const view = workerView(told, facts, service, last)
  if (view.state !== last) return [...announced, workerEvent(service, { ...view, progress: null })]
  const isDue = before !== undefined && facts.nowMs - before.atMs >= PROGRESS_INTERVAL_MS
  return view.progress !== null && isDue ? [workerEvent(service, view)] : announced
}

function workerEvent(
  { name, gpu, workerId }: PlannedService,
  { state, reason, progress, job }: WorkerView,
): EventDraft {
  const isWrong = state === 'error'
  const context = { ...(isWrong || reason === null ? {} : { reason }), ...(job === undefined ? {} : { job }) }
  return {
    type: 'worker.state',
    service: name,
    ...(gpu === null ? {} : { gpu }),
    worker: workerId ?? '',
    status: state,
    ...(progress === null ? {} : { progress }),
    ...(isWrong ? { error: { message: reason ?? 'it does not work' } } : {}),
    ...(Object.keys(context).length === 0 ? {} : { context }),
  }
}

function workerView(told: Told, facts: Facts, { name }: PlannedService, last: WorkerState): WorkerView {
  const record = facts.machine.services.get(name)
  const as = (state: WorkerState, reason = record?.reason ?? null): WorkerView => ({ state, reason, progress: null })
  if (record === undefined || record.observation === null) return as(last)
  switch (record.state) {
    case 'ready':
    case 'done': {
      const job = facts.workload(name)?.currentJob ?? null
      return job === null ? as('ready') : { ...as('busy'), job }
    }
    case 'unready':
    case 'failed':
      return as('error')
    case 'starting':
      return as('starting')
    case 'waiting':
      return waitingView(told, facts, record)
    default:
      // Before its supervisor is there, nothing has stopped it.
      return as(last === 'announcing' && !facts.machine.stopping ? last : 'stopped')
  }
}

/** What it waits for, and what that waits for: a task that works is its progress, a service that was given up its error. */
function waitingView(told: Told, { machine }: Facts, record: ServiceRecord): WorkerView {
  const pending = pendingOf(record, machine.services, new Set())
  const dead = pending.find(({ state }) => state === 'failed')
  if (dead !== undefined) {
    const reason = `waits for "${dead.service.name}", which was given up`
    return { state: 'error', reason, progress: null }
  }
  const tasks = pending.filter(({ service, state }) => service.kind === 'task' && state === 'starting')
  if (tasks.length === 0) return { state: 'starting', reason: record.reason, progress: null }
  const progress = tasks.map(({ service }) => told.tasks.get(service.name)?.progress).find(isTransfer) ?? null
  return { state: progress === null ? 'configuring' : 'downloading', reason: record.reason, progress }
}

function isTransfer(progress: EventProgress | null | undefined): progress is EventProgress {
  return progress !== null && progress !== undefined && (progress.bytes ?? 0) + (progress.totalBytes ?? 0) > 0
}

function pendingOf(
  { service }: ServiceRecord,
  services: ReadonlyMap<string, ServiceRecord>,
  seen: Set<string>,
): ServiceRecord[] {
  return service.waitsFor.flatMap((name) => {
    const other = services.get(name)
    if (other === undefined || seen.has(name) || isSatisfied(other)) return []
    seen.add(name)
    return [other, ...pendingOf(other, services, seen)]
  })
}
