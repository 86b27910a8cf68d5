import type { PlannedGpu, PlannedService } from '../../schema/plan.ts'
import { sizeBytes } from '../plan/quantities.ts'
import type { PlanContext, Provenance, ServiceDraft } from './service-type.ts'

type Program = Pick<PlannedService, 'command' | 'workingDirectory' | 'requiredFiles' | 'environment'>

/**
 * The program of a GPU service, or its stand-in: the stand-in gets the same flags and environment, so that nothing but
 * the program in front differs.
 */
export function simulated(
  context: PlanContext,
  stand: 'comfyui' | 'automatic1111' | 'ollama' | 'redis-worker',
  instance: string,
  gpu: PlannedGpu | null,
  real: Program & { readonly flags: readonly string[] },
): Program {
  const { flags, ...program } = real
  if (!context.simulate) return program
  return {
    command: [context.node, `${context.paths.programs}/simulate.js`, stand, ...flags],
    workingDirectory: context.paths.workspace,
    requiredFiles: [],
    environment: {
      ...program.environment,
      SIMULATE_INSTANCE: instance,
      ...(gpu === null ? {} : { SIMULATE_GPU_MODEL: gpu.model, SIMULATE_VRAM_BYTES: String(gpu.memoryBytes) }),
    },
  }
}

/**
 * The path to probe. Warns where the machine file names one that the program does not answer; the type's own is probed
 * in its place.
 */
export function healthPath(
  context: PlanContext,
  key: 'comfyui' | 'automatic1111' | 'ollama',
  endpoint: string,
  served: readonly string[],
  used: string,
): string {
  if (endpoint === used || served.includes(endpoint)) return endpoint
  const route = ROUTES[key]
  context.report({
    code: 'HEALTH_ENDPOINT_UNSERVED',
    severity: 'warning',
    pointer: `/services/${key}/healthEndpoint`,
    message: `cannot probe "${endpoint}" of "${key}": it serves no such path; "${used}" is probed`,
    hint: `the proxy answers ${route}health with the sidecar's verdict; remove healthEndpoint, or set it to "${used}"`,
  })
  return used
}

const ROUTES = { comfyui: '/comfyui/<n>/', automatic1111: '/a1111/<n>/', ollama: '/ollama/' }

export function instanceMemory(declared: string | undefined, gpu: PlannedGpu, key: string): ServiceDraft['memory'] {
  if (declared === undefined) return null
  return { gpus: [gpu.index], bytes: sizeBytes(declared), pointer: `/services/${key}/gpuMemory` }
}

/** A port that was counted up from the one of GPU 0. */
export function gpuPortProvenance(
  key: string,
  gpu: PlannedGpu,
  increment: number,
  context: PlanContext,
  field = 'basePort',
): Record<string, Provenance> {
  const parts = [
    gpu.index === 0 ? '' : `+ ${gpu.index * increment} (GPU ${gpu.index})`,
    context.portOffset === 0 ? '' : `+ ${context.portOffset} (port offset)`,
  ].filter((part) => part !== '')
  const pointer = `/services/${key}/${field}`
  return { port: parts.length === 0 ? { pointer } : { pointer, note: parts.join(' ') } }
}
