import type { SidecarAnswer, SidecarGpu, SidecarResources } from './ask-sidecar.ts'
import { formatBytes, formatDuration } from './format.ts'
import type { ServiceFacts } from './service-facts.ts'
import { describeWork, STATE_COLORS } from './status-table.ts'
import { clip, formatTable, paint, type TableLayout } from './table.ts'

export interface Usage {
  /** Percent of a core. */
  readonly cpu: number | null
  readonly memory: number | null
}

export interface TopFacts {
  readonly machine: string
  readonly atMs: number
  readonly sidecar: SidecarAnswer
  readonly services: readonly ServiceFacts[]
  readonly gpus: readonly SidecarGpu[]
  readonly resources: SidecarResources | null
  readonly usage: ReadonlyMap<string, Usage>
}

/** One picture of the machine, as lines. Pure. */
export function formatTop(facts: TopFacts, layout: TableLayout): string[] {
  const { resources, gpus } = facts
  return [
    header(facts, layout),
    ...(resources === null ? [] : [clip(formatResources(resources), layout.columns ?? Number.POSITIVE_INFINITY)]),
    '',
    ...(gpus.length === 0 ? [] : [...formatGpus(gpus, layout), '']),
    ...formatServiceRows(facts, layout),
  ]
}

function header({ machine, sidecar, services, atMs }: TopFacts, { color, columns }: TableLayout): string {
  const ready = services.filter((service) => service.ready).length
  const state =
    sidecar.kind === 'answer'
      ? `${sidecar.status.state}, up ${formatDuration(sidecar.status.uptime)}`
      : `the sidecar does not answer (${sidecar.why})`
  const text = `${machine}  ${state}  ${ready} of ${services.length} ready  ${new Date(atMs).toTimeString().slice(0, 8)}`
  return paint(clip(text, columns ?? text.length), sidecar.kind === 'answer' ? 'bold' : 'red', color)
}

function formatResources({ cpu, memory, disks, gpuProblem }: SidecarResources): string {
  const parts = [
    `CPU ${cpu.usedCores === null ? '-' : cpu.usedCores.toFixed(1)} of ${cpu.cores} cores`,
    `memory ${formatBytes(memory.usedBytes)} of ${formatBytes(memory.totalBytes)}`,
    ...disks.map(({ path, freeBytes }) => `${path} ${formatBytes(freeBytes)} free`),
    ...(gpuProblem === null ? [] : [gpuProblem]),
  ]
  return parts.join('   ')
}

const BAR_WIDTH = 20

function bar(fraction: number | null): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction ?? 0)) * BAR_WIDTH)
  return fraction === null ? '-'.padEnd(BAR_WIDTH) : `${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)}`
}

function formatGpus(gpus: readonly SidecarGpu[], layout: TableLayout): string[] {
  const rows = gpus.map(({ index, model, missing, reading }) => {
    const total = reading?.memoryTotalBytes ?? null
    const used = reading?.memoryUsedBytes ?? null
    const load = reading?.utilization ?? null
    return [
      String(index),
      missing ? { text: 'missing', color: 'red' as const } : `${bar(load)} ${load === null ? '' : percent(load)}`,
      total === null || used === null ? '-' : `${bar(used / total)} ${formatBytes(used)} of ${formatBytes(total)}`,
      reading?.temperatureCelsius == null ? '-' : `${reading.temperatureCelsius} °C`,
      reading?.powerWatts == null ? '-' : `${Math.round(reading.powerWatts)} W`,
      model,
    ]
  })
  return formatTable(['GPU', 'LOAD', 'MEMORY', 'TEMP', 'POWER', 'MODEL'], rows, layout)
}

const percent = (fraction: number): string => `${Math.round(fraction * 100)} %`

function formatServiceRows({ services, usage }: TopFacts, layout: TableLayout): string[] {
  const rows = services.map((facts) => {
    const { service, state, reason, restarts, uptimeMs, sidecar } = facts
    const { cpu = null, memory = null } = usage.get(service.name) ?? {}
    return [
      service.name,
      String(service.gpu ?? '-'),
      { text: state, color: STATE_COLORS[state] },
      cpu === null ? '-' : `${cpu.toFixed(1)} %`,
      memory === null ? '-' : formatBytes(memory),
      describeWork(sidecar?.workload ?? null) || '-',
      { text: String(restarts), color: restarts > 0 ? ('yellow' as const) : undefined },
      uptimeMs === null ? '-' : formatDuration(uptimeMs),
      reason ?? '',
    ]
  })
  const headings = ['SERVICE', 'GPU', 'STATE', 'CPU', 'MEMORY', 'QUEUE', 'RESTARTS', 'UPTIME', 'REASON']
  return formatTable(headings, rows, layout)
}
