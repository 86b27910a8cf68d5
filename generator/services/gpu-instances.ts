import type { PlannedGpu } from '../../schema/plan.ts'
import { childPointer } from '../load/origin.ts'
import type { PlanContext } from './service-type.ts'

/** The GPUs that get an instance of a service: all, or only the first. */
export function instanceGpus(context: PlanContext, perGpu: boolean): readonly PlannedGpu[] {
  return perGpu ? context.gpus : context.gpus.slice(0, 1)
}

/** What pins a process to one GPU; nothing where there is none. */
export function pinToGpu(gpu: PlannedGpu): Record<string, string> {
  return gpu.mock ? {} : { CUDA_DEVICE_ORDER: 'PCI_BUS_ID', CUDA_VISIBLE_DEVICES: gpu.device }
}

/**
 * The GPUs named by a `gpus` list, all for an empty one; indexes that the machine does not have are reported.
 */
export function selectGpus(context: PlanContext, key: string, indexes: readonly number[]): readonly PlannedGpu[] {
  indexes.forEach((index, position) => {
    if (index < context.gpus.length) return
    context.report({
      code: 'GPU_OUT_OF_RANGE',
      severity: 'error',
      pointer: ['services', key, 'gpus', position].reduce(childPointer, ''),
      message: `cannot give GPU ${index} to "${key}": ${countOf(context.gpus.length)}`,
    })
  })
  return indexes.length === 0 ? context.gpus : context.gpus.filter((gpu) => indexes.includes(gpu.index))
}

function countOf(count: number): string {
  if (count === 0) return 'the machine has no GPU'
  return count === 1 ? 'the machine has one GPU, number 0' : `the machine has GPUs 0 to ${count - 1}`
}

/**
 * What pins a process to several GPUs: an explicit list, since Ollama falls back to the CPU for `all`; `-1` where there
 * is none.
 */
export function pinToGpus(gpus: readonly PlannedGpu[]): Record<string, string> {
  const devices = gpus.filter((gpu) => !gpu.mock).map((gpu) => gpu.device)
  return { CUDA_DEVICE_ORDER: 'PCI_BUS_ID', CUDA_VISIBLE_DEVICES: devices.length === 0 ? '-1' : devices.join(',') }
}
