import type { PlannedSecretFile, PlannedService } from '../../schema/plan.ts'
import type { PlanContext } from '../services/service-type.ts'

/** The `.env` of each worker, where the first machines had it: scripts and people read it there. */
export function planWorkerFiles(context: PlanContext, services: readonly PlannedService[]): PlannedSecretFile[] {
  return services
    .filter((service) => service.type === 'redis-worker')
    .map((service) => ({
      path: `${context.paths.workspace}/worker_gpu${service.gpu}/.env`,
      service: service.name,
    }))
}
