/** What a worker says in Redis, in the words of the originals (`redis-direct-worker-client`). */
import type { WorkerSettings } from './settings.ts'

export type WorkerStatus = 'idle' | 'busy' | 'offline' | 'error'

/** What the matching function is asked with, and what a worker is listed with. */
export function capabilities({ workerId, machineId, connectors, hardware }: WorkerSettings) {
  return {
    worker_id: workerId,
    machine_id: machineId,
    services: connectors,
    hardware,
    performance: { concurrent_jobs: 1 },
    customer_access: { isolation: 'none' },
    models: {},
  }
}

/** An event on `machine:<machine>:worker:<worker>`. */
export function workerEvent(settings: WorkerSettings, type: string, data: Record<string, unknown>): string {
  return JSON.stringify({ worker_id: settings.workerId, event_type: type, data, timestamp: Date.now() })
}

export function statusData(settings: WorkerSettings, status: WorkerStatus, jobId: string | undefined) {
  return {
    status,
    is_connected: status !== 'offline',
    current_job_id: jobId ?? null,
    last_activity: new Date().toISOString(),
    version: settings.version,
    build_info: 'status-events-v2',
    capabilities: settings.connectors,
  }
}

export interface Job {
  readonly id: string
  readonly serviceType: string
  readonly payload: Record<string, unknown>
}

/** The job in the matching function's answer: JSON of the job itself, or with it under `job`; nothing if there is none. */
export function readJob(answer: unknown): Job | undefined {
  if (typeof answer !== 'string' || answer === '') return undefined
  const outer = JSON.parse(answer) as Record<string, unknown>
  const job = (outer.job ?? outer) as Record<string, unknown>
  const id = outer.jobId ?? outer.job_id ?? job.id ?? job.job_id
  if (id === undefined) return undefined
  const payload = typeof job.payload === 'string' ? (JSON.parse(job.payload) as unknown) : job.payload
  return {
    id: String(id),
    serviceType: String(job.service_required ?? job.service_type ?? job.job_type ?? 'comfyui'),
    payload: typeof payload === 'object' && payload !== null ? (payload as Record<string, unknown>) : {},
  }
}
