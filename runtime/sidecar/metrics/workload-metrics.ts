import type { PlannedService } from '../../../schema/plan.ts'
import type { SidecarView } from '../view.ts'
import { type Family, known } from './exposition.ts'
import { serviceLabels } from './service-labels.ts'

type Workload = NonNullable<ReturnType<SidecarView['workload']>>

/** What services are busy with. Models are counted and never named: their names are not the plan's. */
export function workloadFamilies(
  services: readonly PlannedService[],
  workloadOf: SidecarView['workload'],
): readonly Family[] {
  const busy = services.flatMap((service) => {
    const workload = workloadOf(service.name)
    return workload === null ? [] : [{ service, workload }]
  })
  const family = (
    type: Family['type'],
    name: string,
    help: string,
    value: (workload: Workload) => number | null | undefined,
  ): Family => ({
    name: `machine_${name}`,
    type,
    help,
    samples: known(
      busy,
      ({ service }) => serviceLabels(service),
      ({ workload }) => value(workload),
    ),
  })
  const isWorker = (workload: Workload) => workload.jobsProcessed !== null || workload.currentJob !== null
  return [
    family('gauge', 'queue_running', 'Prompts of the service that run now.', (of) => of.queueRunning),
    family('gauge', 'queue_pending', 'Prompts of the service that wait.', (of) => of.queuePending),
    family('counter', 'prompts_done', 'Prompts that were finished.', (of) => of.promptsDone),
    family('counter', 'jobs_processed', 'Jobs that the worker has processed.', (of) => of.jobsProcessed),
    family('gauge', 'worker_busy', 'Whether the worker has a job.', (of) =>
      isWorker(of) ? Number(of.currentJob !== null) : null,
    ),
    family('gauge', 'models_loaded', 'Models in memory.', (of) => of.modelsLoaded?.length),
    family('gauge', 'models_available', 'Models on disk.', (of) => of.modelsAvailable?.length),
    family('counter', 'out_of_memory', 'Jobs that ran out of GPU memory.', (of) => of.outOfMemoryCount),
  ]
}
