import type { PlannedService } from '../../../schema/plan.ts'
import { type Family, known, type Sample, withLabel } from './exposition.ts'
import { bucketsOf, emptyHistogram, type Histogram, histogramSamples, observeValue } from './histogram.ts'
import { serviceLabels } from './service-labels.ts'

/** What a probe is asked for; one that belongs to none of these is not counted. */
export const PROBE_KINDS = ['startup', 'readiness', 'liveness'] as const

export type ProbeKind = (typeof PROBE_KINDS)[number]

/** Health answers take milliseconds, those of a busy ComfyUI seconds, up to the timeout. */
export const PROBE_BUCKETS = bucketsOf(0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10)

/** Called after each probe of a service. */
export type OnProbe = (service: string, kind: ProbeKind, durationMs: number, ok: boolean) => void

interface ProbeSeries {
  readonly service: Pick<PlannedService, 'name' | 'gpu'>
  readonly kind: ProbeKind
  readonly durations: Histogram
  failures: number
}

export interface ProbeDurations {
  readonly onProbe: OnProbe
  readonly families: () => readonly Family[]
  /** Changes with each probe. */
  readonly version: () => number
}

/** Counts how long probes take; only for services of the plan, so that the number of series is bounded by it. */
export function createProbeDurations(services: readonly Pick<PlannedService, 'name' | 'gpu'>[]): ProbeDurations {
  const series = new Map<string, ProbeSeries>()
  const planned = new Map(services.map((service) => [service.name, service]))
  let version = 0
  return {
    onProbe: (name, kind, durationMs, ok) => {
      const service = planned.get(name)
      if (service === undefined || !PROBE_KINDS.includes(kind)) return
      const key = `${name} ${kind}`
      let found = series.get(key)
      if (found === undefined) {
        found = { service, kind, durations: emptyHistogram(PROBE_BUCKETS), failures: 0 }
        series.set(key, found)
      }
      observeValue(PROBE_BUCKETS, found.durations, durationMs / 1000)
      if (!ok) found.failures += 1
      version += 1
    },
    families: () => probeFamilies([...series.values()]),
    version: () => version,
  }
}

function probeFamilies(series: readonly ProbeSeries[]): readonly Family[] {
  const labels = ({ service, kind }: ProbeSeries) => withLabel(serviceLabels(service), 'kind', kind)
  return [
    {
      name: 'machine_service_probe_duration_seconds',
      type: 'histogram',
      help: 'How long probes of the service took, to the answer or the timeout.',
      samples: series.flatMap((one): readonly Sample[] => histogramSamples(PROBE_BUCKETS, one.durations, labels(one))),
    },
    {
      name: 'machine_service_probe_failures',
      type: 'counter',
      help: 'Probes of the service that failed.',
      samples: known(series, labels, ({ failures }) => failures),
    },
  ]
}
