import type { SidecarView } from '../view.ts'
import type { AccessTotals } from './access-totals.ts'
import { announcementFamilies } from './announcement-metrics.ts'
import { type ExpositionFormat, endPage, type Family, renderFamilies } from './exposition.ts'
import type { Histogram } from './histogram.ts'
import { machineFamilies } from './machine-metrics.ts'
import type { ProbeDurations } from './probe-durations.ts'
import { type ProcessReadings, processFamilies } from './process-metrics.ts'
import { proxyFamilies } from './proxy-metrics.ts'
import { resourceFamilies } from './resource-metrics.ts'
import { serviceFamilies } from './service-metrics.ts'
import { workloadFamilies } from './workload-metrics.ts'

/** What was counted over time, beside what the view shows of this moment. */
export interface Collected {
  readonly probes: ProbeDurations
  /** `null` on a machine without a proxy. */
  readonly access: { readonly totals: AccessTotals; readonly behindBytes: number; readonly version: number } | null
  readonly process: ProcessReadings
  readonly lag: Histogram
}

/** A part of the page. Its families are the same as long as everything in `from` is. */
export interface Section {
  readonly from: readonly unknown[]
  readonly families: () => readonly Family[]
}

/** The parts of the page, in its order. Nothing is made of them yet. */
export function metricsSections(view: SidecarView, collected: Collected): readonly Section[] {
  const { plan, version } = view
  const { probes, access, process, lag } = collected
  const machine = view.machine()
  const resources = view.resources()
  const workloads = new Map(plan.services.map(({ name }) => [name, view.workload(name)]))
  const journal = view.journal()?.counts() ?? null
  const outbox = view.outbox()
  return [
    { from: [machine], families: () => machineFamilies(plan, version, machine, view.nowMs()) },
    { from: [machine], families: () => serviceFamilies(machine, view.nowMs()) },
    { from: [probes.version()], families: probes.families },
    { from: Object.values(resources ?? {}), families: () => resourceFamilies(plan, resources) },
    {
      from: [...workloads.values()],
      families: () => workloadFamilies(plan.services, (name) => workloads.get(name) ?? null),
    },
    {
      from: [access?.version, access?.behindBytes],
      families: () => proxyFamilies(access?.totals ?? null, access?.behindBytes ?? 0),
    },
    {
      from: [...Object.values(journal ?? {}), ...Object.values(outbox ?? {})],
      families: () => announcementFamilies(journal, outbox),
    },
    { from: [process], families: () => processFamilies(process, lag) },
  ]
}

/** The whole page, made anew. */
export function renderMetrics(view: SidecarView, collected: Collected, format: ExpositionFormat = 'text'): string {
  const sections = metricsSections(view, collected)
  return sections.map(({ families }) => renderFamilies(families(), format)).join('') + endPage(format)
}
