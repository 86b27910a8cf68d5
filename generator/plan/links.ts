import type { PlannedLink, PlannedService } from '../../schema/plan.ts'
import type { PlanContext } from '../services/service-type.ts'

/** Where the original machines kept what belongs to one GPU, by the type of the service. */
const HOMES: Partial<Record<PlannedService['type'], string>> = {
  comfyui: 'comfyui_gpu',
  automatic1111: 'a1111_gpu',
  'redis-worker': 'worker_gpu',
}

/** Where an image has a program that needs a directory of its own (Dockerfile), by the type of the service. */
const IN_IMAGE: Partial<Record<PlannedService['type'], string>> = {
  comfyui: '/opt/ComfyUI',
  automatic1111: '/opt/stable-diffusion-webui',
}

/** The volume hides what an image has in the workspace: a link leads to where the image has it. */
function programLinks({ target, paths }: PlanContext, services: readonly PlannedService[]): PlannedLink[] {
  if (target !== 'container') return []
  const seen = new Set<string>()
  return services.flatMap(({ type, workingDirectory, requiredFiles, user }) => {
    const inImage = IN_IMAGE[type]
    if (inImage === undefined || workingDirectory === null || requiredFiles.length === 0) return []
    if (!workingDirectory.startsWith(`${paths.workspace}/`) || seen.has(workingDirectory)) return []
    seen.add(workingDirectory)
    return [{ path: workingDirectory, target: inImage, ifTargetExists: true as const, user }]
  })
}

/**
 * Links that scripts and people of the original machines expect: the workflows that all GPUs share, and the log of each
 * service where it was.
 */
export function planLinks(context: PlanContext, services: readonly PlannedService[]): PlannedLink[] {
  const { paths } = context
  const links = services.flatMap(({ type, gpu, user, logs }) => {
    const prefix = HOMES[type]
    if (prefix === undefined || gpu === null) return []
    const home = `${paths.workspace}/${prefix}${gpu}`
    const log = { path: `${home}/logs/output.log`, target: `${logs.directory}/current`, user }
    if (type !== 'comfyui') return [log]
    return [{ path: `${home}/user/default/workflows`, target: `${paths.shared}/workflows`, user }, log]
  })
  return [...programLinks(context, services), ...links]
}
