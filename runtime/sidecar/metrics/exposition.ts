/**
 * Metrics as data, and their text: the Prometheus text format 0.0.4 and OpenMetrics 1.0.0, which differ in a few words.
 * https://prometheus.io/docs/instrumenting/exposition_formats/, https://prometheus.io/docs/specs/om/open_metrics_spec/
 */

/** All series of one name. Text is made in the order of the samples; those of a histogram come label set by label set. */
export interface Family {
  /** Of a counter without `_total`. */
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly samples: readonly Sample[]
}

export interface Sample {
  /** Of a histogram; the `_total` of a counter goes without saying. */
  readonly suffix?: '_bucket' | '_sum' | '_count'
  readonly labels: LabelText
  readonly value: number
}

/** `{service="nginx",gpu="0"}`, escaped; empty for no labels. */
export type LabelText = string

export type ExpositionFormat = 'text' | 'openmetrics'

export const CONTENT_TYPES: Readonly<Record<ExpositionFormat, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/** Labels in the order of the object; `null` leaves one out, which Prometheus takes for an empty one. */
export function labelText(labels: Readonly<Record<string, string | number | null>>): LabelText {
  let text = ''
  for (const name in labels) {
    const value = labels[name]
    if (value === null || value === undefined) continue
    text += `${text === '' ? '{' : ','}${name}="${escapeLabel(String(value))}"`
  }
  return text === '' ? '' : `${text}}`
}

/** The labels and one more. */
export function withLabel(labels: LabelText, name: string, value: string): LabelText {
  const label = `${name}="${escapeLabel(value)}"}`
  return labels === '' ? `{${label}` : `${labels.slice(0, -1)},${label}`
}

function escapeLabel(value: string): string {
  return /[\\"\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value
}

/** One series without labels. */
export function single(value: number): readonly Sample[] {
  return [{ labels: '', value }]
}

/** Samples of what is known: `null` has no series, since no number would be true. */
export function known<Item>(
  items: Iterable<Item>,
  labels: (item: Item) => LabelText,
  value: (item: Item) => number | null | undefined,
): readonly Sample[] {
  const samples: Sample[] = []
  for (const item of items) {
    const number = value(item)
    if (number !== null && number !== undefined) samples.push({ labels: labels(item), value: number })
  }
  return samples
}

/** The text of families; those without a sample are left out. It is a part of a page: `endPage` closes it. */
export function renderFamilies(families: readonly Family[], format: ExpositionFormat): string {
  let text = ''
  for (const { name, type, help, samples } of families) {
    if (samples.length === 0) continue
    const sampleName = type === 'counter' ? `${name}_total` : name
    // OpenMetrics names the family without the suffix of its samples, the older format names it like them.
    const familyName = format === 'openmetrics' ? name : sampleName
    text += `# HELP ${familyName} ${escapeHelp(help, format)}\n# TYPE ${familyName} ${type}\n`
    for (const { suffix = '', labels, value } of samples) {
      text += `${sampleName}${suffix}${labels} ${formatValue(value)}\n`
    }
  }
  return text
}

/** What follows the last family of a page. */
export function endPage(format: ExpositionFormat): string {
  return format === 'openmetrics' ? '# EOF\n' : ''
}

function escapeHelp(help: string, format: ExpositionFormat): string {
  const text = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return format === 'openmetrics' ? text.replaceAll('"', '\\"') : text
}

function formatValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}

/** The format that the `Accept` header of a request asks for; the older one unless OpenMetrics is preferred. */
export function chooseFormat(accept: string | undefined): ExpositionFormat {
  if (accept === undefined || !accept.includes('application/openmetrics-text')) return 'text'
  let best: { format: ExpositionFormat; quality: number } = { format: 'text', quality: 0 }
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const format = formatOf(type, parameters)
    const given = parameters.find((parameter) => parameter.startsWith('q='))
    const quality = given === undefined ? 1 : Number(given.slice(2)) || 0
    if (format !== null && quality > best.quality) best = { format, quality }
  }
  return best.format
}

function formatOf(type: string, parameters: readonly string[]): ExpositionFormat | null {
  if (type === 'text/plain' || type === 'text/*' || type === '*/*') return 'text'
  if (type !== 'application/openmetrics-text') return null
  const version = parameters.find((parameter) => parameter.startsWith('version='))?.slice('version='.length)
  return version === undefined || version === '1.0.0' || version === '0.0.1' ? 'openmetrics' : null
}
