import type { MachineState } from '../machine-state.ts'
import type { Workload } from '../workload/workload.ts'
import type { Workers } from './follow-workers.ts'

/** What the worker in a service is busy with; `null` for other services, and while it does not run. */
export function workerWorkload(
  workers: Pick<Workers, 'workload'>,
  machine: MachineState,
  service: string,
): Workload | null {
  const record = machine.services.get(service)
  const workerId = record?.service.workerId ?? null
  if (record === undefined || workerId === null || record.launchedAtMs === null) return null
  return workers.workload(workerId, record.launchedAtMs)
}
