import type { PlannedGpu } from '../../../schema/plan.ts'
import type { GpuRow } from './parse-nvidia-smi.ts'
import type { GpuReading } from './resource-snapshot.ts'

export interface MatchedGpus {
  /** In the plan's order. */
  readonly gpus: readonly GpuReading[]
  /** Indices of planned GPUs that are not there. */
  readonly missing: readonly number[]
}

/**
 * What nvidia-smi shows, as the plan numbers its GPUs: by index in PCI bus order, which is nvidia-smi's own, by UUID or
 * the beginning of one (CUDA takes that too), or by the UUID of a MIG device, which is a part of a GPU and has its heat,
 * power and errors; how much of the memory and the time is the part's own cannot be asked for.
 */
export function matchGpus(
  planned: readonly PlannedGpu[],
  rows: readonly GpuRow[],
  migParents: ReadonlyMap<string, string>,
  xidOf: (pciBus: string | null) => number | null,
): MatchedGpus {
  const found = planned.map((gpu) => ({ gpu, row: findRow(gpu.device, rows, migParents) }))
  return {
    gpus: found.flatMap(({ gpu, row }) => (row === undefined ? [] : [toReading(gpu, row, xidOf(row.pciBus))])),
    missing: found.filter(({ row }) => row === undefined).map(({ gpu }) => gpu.index),
  }
}

function findRow(device: string, rows: readonly GpuRow[], migParents: ReadonlyMap<string, string>): GpuRow | undefined {
  if (/^\d+$/.test(device)) return rows.find(({ index }) => index === Number(device))
  const isMig = device.startsWith('MIG-')
  const uuid = isMig ? [...migParents].find(([mig]) => startsAlike(mig, device))?.[1] : device
  return uuid === undefined ? undefined : rows.find((row) => row.uuid !== null && startsAlike(row.uuid, uuid))
}

const startsAlike = (whole: string, beginning: string): boolean =>
  whole.toLowerCase().startsWith(beginning.toLowerCase())

function toReading({ index, device, mock }: PlannedGpu, row: GpuRow, xidErrors: number | null): GpuReading {
  const { index: _, pciBus: __, ...known } = row
  const part = device.startsWith('MIG-')
    ? { uuid: device, mig: true, utilization: null, memoryTotalBytes: null, memoryUsedBytes: null }
    : {}
  return { ...known, ...part, index, xidErrors, mock }
}
