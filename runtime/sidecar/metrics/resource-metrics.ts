import type { Plan } from '../../../schema/plan.ts'
import type { GpuReading, ResourceSnapshot } from '../resources/resource-snapshot.ts'
import { type Family, known, labelText, single } from './exposition.ts'

/** GPUs, processors, memory and disks. Only what could be read has series: a guess would be worse than a gap. */
export function resourceFamilies(plan: Plan, snapshot: ResourceSnapshot | null): readonly Family[] {
  const declared: readonly Family[] = [
    {
      name: 'machine_gpu_info',
      type: 'gauge',
      help: 'What the machine file says of the GPU; always 1.',
      samples: plan.gpus.map(({ index, model, device, mock }) => ({
        labels: labelText({ gpu: index, model, device, mock: String(mock) }),
        value: 1,
      })),
    },
  ]
  if (snapshot === null) return declared
  return [...declared, ...gpuFamilies(plan, snapshot), ...hostFamilies(snapshot), ...diskFamilies(plan, snapshot)]
}

function gpuFamilies({ gpus }: Plan, { gpus: readings, missingGpus, gpuProblem }: ResourceSnapshot): readonly Family[] {
  const declared = new Set(gpus.map(({ index }) => index))
  const shown = readings.filter(({ index }) => declared.has(index))
  const family = (
    type: Family['type'],
    name: string,
    help: string,
    value: (reading: GpuReading) => number | null,
  ): Family => ({
    name: `machine_gpu_${name}`,
    type,
    help,
    samples: known(shown, ({ index }) => labelText({ gpu: index }), value),
  })
  const missing = new Set(missingGpus)
  return [
    {
      name: 'machine_gpus_readable',
      type: 'gauge',
      help: 'Whether the driver answers: 0 while nvidia-smi is missing, hangs or makes no sense.',
      samples: single(Number(gpuProblem === null)),
    },
    {
      name: 'machine_gpu_missing',
      type: 'gauge',
      help: 'Whether the machine file declares the GPU and the host does not show it.',
      samples: known(
        gpus,
        ({ index }) => labelText({ gpu: index }),
        ({ index }) => Number(missing.has(index)),
      ),
    },
    family('gauge', 'utilization_ratio', 'How busy the GPU is, from 0 to 1.', (gpu) => gpu.utilization),
    family('gauge', 'memory_size_bytes', 'Memory of the GPU.', (gpu) => gpu.memoryTotalBytes),
    family('gauge', 'memory_used_bytes', 'Memory of the GPU that is in use.', (gpu) => gpu.memoryUsedBytes),
    family('gauge', 'temperature_celsius', 'Temperature of the GPU.', (gpu) => gpu.temperatureCelsius),
    family('gauge', 'power_watts', 'Power that the GPU draws.', (gpu) => gpu.powerWatts),
    family('gauge', 'power_limit_watts', 'Power that the GPU may draw.', (gpu) => gpu.powerLimitWatts),
    family(
      'counter',
      'ecc_uncorrected_errors',
      'Memory errors that could not be corrected, since the driver was loaded.',
      (gpu) => gpu.eccUncorrected,
    ),
    family('counter', 'xid_errors', 'XID errors of the driver that were seen for the GPU.', (gpu) => gpu.xidErrors),
    family('gauge', 'mig', 'Whether the GPU is divided into instances (MIG).', (gpu) => Number(gpu.mig)),
  ]
}

function hostFamilies({ atMs, cpu, memory }: ResourceSnapshot): readonly Family[] {
  const one = (type: Family['type'], name: string, help: string, value: number | null): Family => ({
    name: `machine_${name}`,
    type,
    help,
    samples: value === null ? [] : single(value),
  })
  return [
    one('gauge', 'cpu_limit_cores', 'Cores that the machine may use: its quota, else those of the host.', cpu.cores),
    one('gauge', 'cpu_used_cores', 'Cores that are in use, over the time between two readings.', cpu.usedCores),
    one('counter', 'cpu_throttled_seconds', 'Time for which the quota has held processes up.', cpu.throttledSeconds),
    one('gauge', 'memory_limit_bytes', 'Memory that the machine may use.', memory.totalBytes),
    one('gauge', 'memory_used_bytes', 'Memory that is in use.', memory.usedBytes),
    one('counter', 'memory_oom_kills', 'Processes that the kernel killed for want of memory.', memory.oomKills),
    one('gauge', 'resources_read_time_seconds', 'When resources were last read, since 1970.', atMs / 1000),
  ]
}

function diskFamilies({ paths }: Plan, { disks }: ResourceSnapshot): readonly Family[] {
  const own = new Set<string>(Object.values(paths))
  const shown = disks.filter(({ path }) => own.has(path) || path === '/')
  const gauge = (
    name: string,
    help: string,
    value: (disk: ResourceSnapshot['disks'][number]) => number | null,
  ): Family => ({
    name: `machine_disk_${name}`,
    type: 'gauge',
    help,
    samples: known(shown, ({ path }) => labelText({ path }), value),
  })
  return [
    gauge('size_bytes', 'Size of the file system that holds the path.', (disk) => disk.totalBytes),
    gauge('free_bytes', 'Space that is free there.', (disk) => disk.freeBytes),
    gauge('free_inodes', 'Files that can still be made there.', (disk) => disk.freeInodes),
  ]
}
