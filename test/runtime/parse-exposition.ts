/**
 * A strict reader of the Prometheus text format and of OpenMetrics: it throws, with the line, on all that either forbids, and on what a
 * server would take but nobody should write: families in pieces, series twice, histograms that do not add up.
 */
export interface ParsedFamily {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly series: readonly ParsedSeries[]
}

export interface ParsedSeries {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

type Draft = { name: string; type: string; help: string; series: ParsedSeries[] }

const METRIC = '[a-zA-Z_:][a-zA-Z0-9_:]*'
// `s`: only a line feed ends a line of these formats; for JavaScript, others do too.
const HELP = new RegExp(`^# HELP (${METRIC}) (.*)$`, 's')
const TYPE = new RegExp(`^# TYPE (${METRIC}) (counter|gauge|histogram)$`)
const SAMPLE = new RegExp(`^(${METRIC})(?:\\{(.*)\\})? ([^ ]+)$`, 's')
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/
const NUMBER = /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/

export function parseExposition(
  text: string,
  format: 'text' | 'openmetrics' = 'text',
): ReadonlyMap<string, ParsedFamily> {
  const lines = text.split('\n')
  demand(lines.pop() === '', 'the last line has no end', '')
  if (format === 'openmetrics') demand(lines.pop() === '# EOF', 'the last line is not # EOF', '')
  const families = new Map<string, Draft>()
  let current: Draft | null = null
  for (const line of lines) {
    const help = HELP.exec(line)
    if (help !== null) {
      demand(!families.has(help[1]!), 'the family is there twice', line)
      demand(!/\\(?![\\n"])/.test(help[2]!) && help[2] !== '', 'bad help', line)
      current = { name: help[1]!, type: '', help: help[2]!, series: [] }
      families.set(current.name, current)
      continue
    }
    const type = TYPE.exec(line)
    if (type !== null) {
      demand(
        current?.name === type[1] && current?.type === '' && current.series.length === 0,
        'TYPE is out of place',
        line,
      )
      current!.type = type[2]!
      continue
    }
    demand(current !== null && current.type !== '', 'a sample without HELP and TYPE', line)
    const sample = parseSample(line)
    demand(sampleNames(current!, format).includes(sample.name), `not a sample of ${current!.name}`, line)
    current!.series.push(sample)
  }
  checkFamilies(families)
  return families
}

function sampleNames({ name, type }: Draft, format: string): readonly string[] {
  if (type === 'histogram') return [`${name}_bucket`, `${name}_sum`, `${name}_count`]
  return [type === 'counter' && format === 'openmetrics' ? `${name}_total` : name]
}

function parseSample(line: string): ParsedSeries {
  const found = SAMPLE.exec(line)
  demand(found !== null, 'not a sample', line)
  const [, name, labelList = '', number] = found!
  demand(NUMBER.test(number!), 'not a number', line)
  const labels = new Map<string, string>()
  for (let rest = labelList; rest !== ''; ) {
    const label = LABEL.exec(rest)
    demand(label !== null && !label[1]!.startsWith('__') && !labels.has(label[1]!), 'bad labels', line)
    labels.set(
      label![1]!,
      label![2]!.replace(/\\(.)/gs, (_, char: string) => (char === 'n' ? '\n' : char)),
    )
    rest = rest.slice(label![0].length)
    demand(rest !== '' || label![3] === '', 'a comma too many', line)
  }
  return { name: name!, labels, value: numberOf(number!) }
}

function numberOf(text: string): number {
  if (text.endsWith('Inf')) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  return Number(text)
}

function checkFamilies(families: ReadonlyMap<string, Draft>): void {
  const seen = new Set<string>()
  for (const { name, type, series } of families.values()) {
    demand(series.length > 0, 'a family without samples', name)
    for (const one of series) {
      const key = seriesKey(one)
      demand(!seen.has(key), 'a series is there twice', key)
      seen.add(key)
    }
    if (type === 'counter') {
      demand(
        series.every((one) => one.name.endsWith('_total')),
        'a counter without _total',
        name,
      )
      demand(
        series.every(({ value }) => value >= 0 && Number.isFinite(value)),
        'a counter that is no amount',
        name,
      )
    } else demand(!/_(total|count|sum|bucket)$/.test(name), 'the name has the suffix of another type', name)
    if (type === 'histogram') checkHistogram(name, series)
  }
}

export function seriesKey({ name, labels }: ParsedSeries): string {
  return `${name} ${JSON.stringify([...labels].sort())}`
}

function checkHistogram(name: string, series: readonly ParsedSeries[]): void {
  const sets: { key: string; series: ParsedSeries[] }[] = []
  for (const one of series) {
    const key = JSON.stringify([...one.labels].filter(([label]) => label !== 'le').sort())
    if (sets.at(-1)?.key === key) sets.at(-1)!.series.push(one)
    else sets.push({ key, series: [one] })
  }
  demand(new Set(sets.map(({ key }) => key)).size === sets.length, 'the label sets of a histogram are mixed', name)
  for (const { key, series: set } of sets) {
    const buckets = set.filter((one) => one.name === `${name}_bucket`)
    const bounds = buckets.map(({ labels }) => numberOf(labels.get('le') ?? 'none'))
    const counts = buckets.map(({ value }) => value)
    const [sum, count] = ['sum', 'count'].map((suffix) => set.filter((one) => one.name === `${name}_${suffix}`))
    demand(
      bounds.every((bound, index) => index === 0 || bound > bounds[index - 1]!),
      'bounds do not rise',
      name + key,
    )
    demand(bounds.at(-1) === Number.POSITIVE_INFINITY, 'no bucket for the rest', name + key)
    demand(
      counts.every((value, index) => index === 0 || value >= counts[index - 1]!),
      'counts fall',
      name + key,
    )
    demand(sum?.length === 1 && count?.length === 1, 'no sum or count', name + key)
    demand(count?.[0]?.value === counts.at(-1), 'the count is not that of all', name + key)
  }
}

function demand(isTrue: boolean, what: string, line: string): void {
  if (!isTrue) throw new Error(`not an exposition: ${what}: ${line}`)
}
