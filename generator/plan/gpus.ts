import type { Machine } from '../../schema/machine.ts'
import type { PlannedGpu } from '../../schema/plan.ts'
import type { Finding, ServiceDraft } from '../services/service-type.ts'

/** The GPUs of a machine. `detected` is the number found where the file is compiled, for `count: auto`. */
export function planGpus(
  machine: Machine['machine'],
  detected: number | null,
  report: (finding: Finding) => void,
): PlannedGpu[] {
  const { gpu } = machine
  const count = gpu.count === 'auto' ? detected : gpu.count
  if (count === null) {
    report({
      code: 'GPU_COUNT_UNKNOWN',
      severity: 'error',
      pointer: '/machine/gpu/count',
      message: 'cannot resolve "auto" for "machine.gpu.count": no GPU is known here',
      hint: 'render where nvidia-smi works, or say how many there are: --gpus 2',
    })
  }
  if (gpu.devices.length > 0 && gpu.devices.length < (count ?? 0)) {
    report({
      code: 'GPU_OUT_OF_RANGE',
      severity: 'error',
      pointer: '/machine/gpu/devices',
      message: `cannot give every GPU a device: ${count} GPUs, ${gpu.devices.length} devices`,
      hint: 'name a device for each GPU, or none',
      related: [{ pointer: '/machine/gpu/count', message: `the machine has ${count} GPUs here` }],
    })
  }
  return Array.from({ length: count ?? 0 }, (_, index) => ({
    index,
    device: String(gpu.devices[index] ?? index),
    memoryBytes: Math.round(gpu.memoryGB * 1e9),
    memoryGB: gpu.memoryGB,
    model: gpu.model,
    mock: gpu.mock,
  }))
}

/** Warns where the services of a GPU declare more memory than it has. */
export function checkGpuMemory(
  gpus: readonly PlannedGpu[],
  drafts: readonly ServiceDraft[],
  report: (finding: Finding) => void,
): void {
  const warned = new Set<string>()
  const claimants = drafts.filter((draft) => draft.memory !== null)
  for (const gpu of gpus.filter((one) => !one.mock)) {
    const claims = claimants.filter((draft) => draft.memory?.gpus.includes(gpu.index))
    const bytes = claims.reduce((sum, draft) => sum + (draft.memory?.bytes ?? 0), 0)
    const [first, ...others] = claims
    if (bytes <= gpu.memoryBytes || first?.memory === undefined || first.memory === null) continue
    if (warned.has(first.memory.pointer)) continue
    warned.add(first.memory.pointer)
    const shares = claims.map((draft) => `${draft.service.name} ${gigabytes(draft.memory?.bytes ?? 0)}`).join(', ')
    report({
      code: 'MEMORY_OVERCOMMIT',
      severity: 'warning',
      pointer: first.memory.pointer,
      message: `cannot fit ${gigabytes(bytes)} into the ${gigabytes(gpu.memoryBytes)} of GPU ${gpu.index}: ${shares}`,
      related: others.flatMap((draft) =>
        draft.memory === null
          ? []
          : [{ pointer: draft.memory.pointer, message: `"${draft.service.name}" declares its share here` }],
      ),
    })
  }
}

const gigabytes = (bytes: number): string => `${Math.round(bytes / 1e8) / 10} GB`
