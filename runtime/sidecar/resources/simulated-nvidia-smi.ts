import type { PlannedGpu } from '../../../schema/plan.ts'
import type { GpuField } from './parse-nvidia-smi.ts'
import type { NvidiaSmi } from './run-nvidia-smi.ts'

const MEBIBYTE = 1024 ** 2
const POWER_LIMIT_WATTS = 450

/**
 * nvidia-smi for GPUs that are not there: the same text, with readings that follow the load of the simulated services (0
 * to 1 for a GPU of the plan). Only its time makes two readings of one load differ.
 */
export function simulateNvidiaSmi(
  gpus: readonly PlannedGpu[],
  loadOf: (gpu: number) => number,
  nowMs: () => number = Date.now,
): NvidiaSmi {
  return async (args) => {
    const fields = args.find((arg) => arg.startsWith('--query-gpu='))?.slice('--query-gpu='.length)
    if (fields === undefined) return { kind: 'text', text: '', exitCode: 0 }
    const names = fields.split(',') as GpuField[]
    const lines = gpus.map((gpu, place) => {
      const values = readingsOf(gpu, place, loadOf(gpu.index), nowMs())
      return names.map((name) => values[name]).join(', ')
    })
    return { kind: 'text', text: `${lines.join('\n')}\n`, exitCode: 0 }
  }
}

function readingsOf(gpu: PlannedGpu, place: number, load: number, nowMs: number): Record<GpuField, string> {
  // Between -1 and 1, another value for each GPU and minute.
  const drift = Math.sin(nowMs / 60_000 + place)
  const busy = Math.min(1, Math.max(0, load))
  const totalMebibytes = Math.round(gpu.memoryBytes / MEBIBYTE)
  const values: Record<GpuField, string> = {
    index: /^\d+$/.test(gpu.device) ? gpu.device : String(place),
    uuid: gpu.device.startsWith('GPU-') ? gpu.device : simulatedUuid(gpu.index),
    'pci.bus_id': `00000000:${(gpu.index + 1).toString(16).padStart(2, '0').toUpperCase()}:00.0`,
    name: gpu.model,
    'utilization.gpu': String(Math.round(busy * (92 + 6 * drift))),
    'memory.total': String(totalMebibytes),
    'memory.used': String(Math.round(totalMebibytes * (0.02 + busy * (0.7 + 0.05 * drift)))),
    'temperature.gpu': String(Math.round(34 + 2 * drift + busy * 34)),
    'power.draw': (24 + 2 * drift + busy * 340).toFixed(2),
    'power.limit': POWER_LIMIT_WATTS.toFixed(2),
    'ecc.errors.uncorrected.volatile.total': '[N/A]',
    'mig.mode.current': '[N/A]',
  }
  return values
}

/** The same for every boot, and no UUID of a real card. */
function simulatedUuid(index: number): string {
  return `GPU-00000000-0000-0000-0000-${index.toString(16).padStart(12, '0')}`
}
