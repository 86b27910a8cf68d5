import type { PullLine } from './ollama-api.ts'

/** How far a pull is, by what its lines said so far. */
export interface PullProgress {
  readonly bytes: number
  readonly totalBytes: number
  /** What it is at: `pulling manifest`, `verifying sha256 digest`. */
  readonly status: string
}

/**
 * Adds up the layers of one pull. Each line is about one of them, and a layer is only known from its first line on: the
 * total grows while the small ones are found.
 */
export function createPullProgress(): (line: PullLine) => PullProgress {
  const layers = new Map<string, { readonly total: number; readonly completed: number }>()
  let status = ''
  return ({ status: said, digest, total, completed }) => {
    if (said !== undefined) status = digest === undefined ? said : 'pulling'
    if (digest !== undefined && isSize(total)) {
      const before = layers.get(digest)?.completed ?? 0
      // A part that is fetched again says less than before.
      layers.set(digest, { total, completed: Math.min(total, isSize(completed) ? completed : before) })
    }
    const sum = (pick: (layer: { total: number; completed: number }) => number) =>
      [...layers.values()].reduce((all, layer) => all + pick(layer), 0)
    return { bytes: sum((layer) => layer.completed), totalBytes: sum((layer) => layer.total), status }
  }
}

const isSize = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0
