import type { Plan } from '../../../schema/plan.ts'
import type { Workload } from '../workload/workload.ts'

/** How busy the services on a simulated GPU keep it: 1 while a job runs on it, else 0. */
export function gpuLoad(
  plan: Pick<Plan, 'services'>,
  workloadOf: (service: string) => Workload | null,
  gpu: number,
): number {
  const loads = plan.services.map(({ name, gpu: own }) => {
    const workload = own === gpu ? workloadOf(name) : null
    return workload?.queueRunning || workload?.currentJob ? 1 : 0
  })
  return Math.max(0, ...loads)
}
