import { type LabelText, type Sample, withLabel } from './exposition.ts'

/** How often a value was met, by upper bounds. */
export interface Histogram {
  /** Not cumulated; one more than there are bounds, for what is above the last one. */
  readonly counts: number[]
  sum: number
}

/** Upper bounds in rising order, with their texts as `le` has them: OpenMetrics wants `1.0` and not `1`. */
export interface Buckets {
  readonly bounds: readonly number[]
  readonly labels: readonly string[]
}

export function bucketsOf(...bounds: readonly number[]): Buckets {
  const labels = bounds.map((bound) => (Number.isInteger(bound) ? bound.toFixed(1) : String(bound)))
  return { bounds, labels: [...labels, '+Inf'] }
}

export function emptyHistogram({ labels }: Buckets): Histogram {
  return { counts: labels.map(() => 0), sum: 0 }
}

export function observeValue({ bounds }: Buckets, histogram: Histogram, value: number): void {
  let index = 0
  while (index < bounds.length && value > bounds[index]!) index += 1
  histogram.counts[index]! += 1
  histogram.sum += value
}

/** The series of one label set of a histogram. */
export function histogramSamples(buckets: Buckets, { counts, sum }: Histogram, labels: LabelText): readonly Sample[] {
  let total = 0
  const samples: Sample[] = counts.map((count, index) => {
    total += count
    return { suffix: '_bucket', labels: withLabel(labels, 'le', buckets.labels[index]!), value: total }
  })
  samples.push({ suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: total })
  return samples
}
