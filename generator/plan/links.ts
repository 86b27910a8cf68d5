import type { PlannedLink, PlannedService } from '../../schema/plan.ts'
import type { PlanContext } from '../services/service-type.ts'

/** Where the original machines kept what belongs to one GPU, by the type of the service. */
const HOMES: Partial<Record<PlannedService['type'], string>> = {
  comfyui: 'comfyui_gpu',
  automatic1111: 'a1111_gpu',
  'redis-worker': 'worker_gpu',
}

/**
 * Links that scripts and people of the original machines expect: the workflows that all GPUs share, and the log of each
 * service where it was.
 */
export function planLinks({ paths }: PlanContext, services: readonly PlannedService[]): PlannedLink[] {
  return services.flatMap(({ type, gpu, user, logs }) => {
    const prefix = HOMES[type]
    if (prefix === undefined || gpu === null) return []
    const home = `${paths.workspace}/${prefix}${gpu}`
    const log = { path: `${home}/logs/output.log`, target: `${logs.directory}/current`, user }
    if (type !== 'comfyui') return [log]
    return [{ path: `${home}/user/default/workflows`, target: `${paths.shared}/workflows`, user }, log]
  })
}
