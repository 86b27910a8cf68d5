import type { SidecarView } from '../view.ts'
import { CONTENT_TYPES, chooseFormat, type ExpositionFormat, endPage, renderFamilies } from './exposition.ts'
import { type Collected, metricsSections } from './metrics-sections.ts'

export interface MetricsAnswer {
  /** The content type. */
  readonly type: string
  readonly bytes: Buffer
}

/** Gives the page in the format that an `Accept` header asks for. */
export type MetricsPage = (accept: string | undefined) => MetricsAnswer

/** A section as it was made the last time. */
interface Made {
  readonly from: readonly unknown[]
  readonly text: string
}

interface Page {
  readonly made: readonly Made[]
  readonly bytes: Buffer
}

/**
 * The page for an `Accept` header. Only what has changed since the last one is made again: between two changes an answer
 * costs as much as finding out that there is none.
 */
export function createMetricsPage(view: SidecarView, collect: () => Collected): MetricsPage {
  const pages: Partial<Record<ExpositionFormat, Page>> = {}
  return (accept) => {
    const format = chooseFormat(accept)
    const page = turnPage(pages[format], view, collect(), format)
    pages[format] = page
    return { type: CONTENT_TYPES[format], bytes: page.bytes }
  }
}

function turnPage(last: Page | undefined, view: SidecarView, collected: Collected, format: ExpositionFormat): Page {
  const made = metricsSections(view, collected).map(({ from, families }, index): Made => {
    const before = last?.made[index]
    if (before !== undefined && isSame(before.from, from)) return before
    return { from, text: renderFamilies(families(), format) }
  })
  if (last !== undefined && made.every((section, index) => section === last.made[index])) return last
  return { made, bytes: Buffer.from(made.map(({ text }) => text).join('') + endPage(format)) }
}

function isSame(before: readonly unknown[], now: readonly unknown[]): boolean {
  return before.length === now.length && now.every((value, index) => Object.is(value, before[index]))
}
