/** Fields of `--query-gpu`. `pci.bus_id` is what the kernel log names a GPU by. */
export const GPU_FIELDS = [
  'index',
  'uuid',
  'pci.bus_id',
  'name',
  'utilization.gpu',
  'memory.total',
  'memory.used',
  'temperature.gpu',
  'power.draw',
  'power.limit',
  'ecc.errors.uncorrected.volatile.total',
  'mig.mode.current',
] as const

export type GpuField = (typeof GPU_FIELDS)[number]

/** One GPU as nvidia-smi tells of it; `null` is what it does not. */
export interface GpuRow {
  readonly index: number
  readonly uuid: string | null
  /** `0000:3b:00`, as the kernel writes it. */
  readonly pciBus: string | null
  readonly name: string | null
  readonly utilization: number | null
  readonly memoryTotalBytes: number | null
  readonly memoryUsedBytes: number | null
  readonly temperatureCelsius: number | null
  readonly powerWatts: number | null
  readonly powerLimitWatts: number | null
  readonly eccUncorrected: number | null
  readonly mig: boolean
}

export interface GpuTable {
  readonly rows: readonly GpuRow[]
  /** Lines that are no rows: what nvidia-smi complains about, in its words. */
  readonly problem: string | null
}

const MEBIBYTE = 1024 ** 2
const MAX_PROBLEM_CHARS = 400

/** nvidia-smi says this, with exit code 6, where the driver works and there is nothing for it to drive. */
const NO_DEVICES = /^No devices were found/i

/** Reads the CSV of `--query-gpu`: rows that are whole, and everything else as a complaint. */
export function parseGpuTable(text: string, fields: readonly GpuField[] = GPU_FIELDS): GpuTable {
  const rows: GpuRow[] = []
  const complaints: string[] = []
  for (const line of text.split(/\r?\n/).map((each) => each.trim())) {
    if (line === '') continue
    const row = parseRow(line.split(/\s*,\s*/), fields)
    if (row !== null) rows.push(row)
    else if (!NO_DEVICES.test(line)) complaints.push(line)
  }
  const problem = complaints.length === 0 ? null : complaints.join(' ').slice(0, MAX_PROBLEM_CHARS)
  return { rows, problem }
}

function parseRow(values: readonly string[], fields: readonly GpuField[]): GpuRow | null {
  if (values.length !== fields.length) return null
  const text = (field: GpuField) => known(values[fields.indexOf(field)])
  const number = (field: GpuField) => parseNumber(text(field))
  const scaled = (field: GpuField, factor: number) => {
    const value = number(field)
    return value === null ? null : value * factor
  }
  const index = number('index')
  if (index === null || !Number.isInteger(index)) return null
  const percent = number('utilization.gpu')
  return {
    index,
    uuid: text('uuid'),
    pciBus: normalisePciBus(text('pci.bus_id')),
    name: text('name'),
    utilization: percent === null ? null : Math.min(100, percent) / 100,
    memoryTotalBytes: scaled('memory.total', MEBIBYTE),
    memoryUsedBytes: scaled('memory.used', MEBIBYTE),
    temperatureCelsius: number('temperature.gpu'),
    powerWatts: number('power.draw'),
    powerLimitWatts: number('power.limit'),
    eccUncorrected: number('ecc.errors.uncorrected.volatile.total'),
    mig: text('mig.mode.current') === 'Enabled',
  }
}

/** `[N/A]`, `[Not Supported]`, `[Unknown Error]`, `[Insufficient Permissions]`, `[GPU is lost]`, `ERR!`, nothing at all. */
function known(value: string | undefined): string | null {
  const isUnknown = value === undefined || value === '' || /^\[.*\]$|^ERR!$|^N\/A$|^Unknown Error$/i.test(value)
  return isUnknown ? null : value
}

/** Numbers of 0 and more; units are left out by `nounits`, but not by every version. */
function parseNumber(value: string | null): number | null {
  const digits = /^(\d+(?:\.\d+)?)(?:\s*(?:MiB|%|W|C))?$/.exec(value ?? '')?.[1]
  return digits === undefined ? null : Number(digits)
}

/** `00000000:3B:00.0` of nvidia-smi and `0000:3b:00` of the kernel are the same GPU. */
export function normalisePciBus(text: string | null): string | null {
  const parts = /([0-9a-f]{4}):([0-9a-f]{2}):([0-9a-f]{2})(?:\.[0-9a-f])?$/i.exec(text ?? '')
  return parts === null ? null : `${parts[1]}:${parts[2]}:${parts[3]}`.toLowerCase()
}

/** A field that this version does not know, by its complaint: `Field "mig.mode.current" is not a valid field to query.` */
export function unknownField(text: string): string | null {
  return /Field "([^"]+)" is not a valid field to query/.exec(text)?.[1] ?? null
}

/** A process on a GPU. Inside a container the pid may be one of the host, or hidden. */
export interface GpuProcess {
  readonly pid: number
  readonly usedBytes: number | null
  readonly gpuUuid: string | null
}

export const PROCESS_FIELDS = ['pid', 'used_memory', 'gpu_uuid'] as const

/** Reads the CSV of `--query-compute-apps`; `null` where there is anything but rows. */
export function parseProcesses(text: string): readonly GpuProcess[] | null {
  const processes: GpuProcess[] = []
  for (const line of text.split(/\r?\n/).map((each) => each.trim())) {
    if (line === '' || NO_DEVICES.test(line)) continue
    const [pid, used, uuid, ...more] = line.split(/\s*,\s*/)
    if (!/^\d+$/.test(pid ?? '') || uuid === undefined || more.length > 0) return null
    const mebibytes = parseNumber(known(used))
    processes.push({
      pid: Number(pid),
      usedBytes: mebibytes === null ? null : mebibytes * MEBIBYTE,
      gpuUuid: known(uuid),
    })
  }
  return processes
}

/** The MIG devices of `nvidia-smi -L`, by UUID, with the UUID of the GPU that each is a part of. */
export function parseMigDevices(text: string): ReadonlyMap<string, string> {
  const parents = new Map<string, string>()
  let gpu: string | null = null
  for (const line of text.split('\n')) {
    gpu = /^GPU \d+:.*\(UUID: (GPU-[0-9a-f-]+)\)/i.exec(line)?.[1] ?? gpu
    const mig = /^\s+MIG .*\(UUID: (MIG-[^)]+)\)/i.exec(line)?.[1]
    if (mig !== undefined && gpu !== null) parents.set(mig, gpu)
  }
  return parents
}
