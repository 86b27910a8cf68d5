import type { ProvisionProgress } from '../../shared/provision-progress.ts'

/** The result of one item. `changed`: it was there and is another now. */
export type ItemStatus = 'ok' | 'skipped' | 'failed' | 'changed'

/** How far one item is. */
export interface ItemProgress {
  readonly item: string
  readonly bytes: number
  readonly totalBytes: number | null
}

export type TallyView = Pick<
  ProvisionProgress,
  'item' | 'bytes' | 'totalBytes' | 'bytesPerSecond' | 'etaSeconds' | 'done' | 'total'
>

export interface Tally {
  readonly expect: (amount: { readonly items?: number; readonly bytes?: number | null }) => void
  readonly update: (item: string, bytes: number, totalBytes: number | null, nowMs: number) => void
  readonly settle: (item: string, status: ItemStatus) => void
  readonly view: (nowMs: number) => TallyView
  /** Those that are being worked on, the longest first. */
  readonly active: () => readonly ItemProgress[]
}

/** The rate is that of this time: long enough to be calm, short enough to tell of a stall. */
const WINDOW_MS = 8000

/** An item before its rate says anything. */
const LEAST_WINDOW_MS = 250

/**
 * Adds up the progress of many items. Bytes that were there before (a resumed file) count as progress and not as speed.
 */
export function createTally(): Tally {
  const items = new Map<string, ItemProgress>()
  const settled = new Set<string>()
  let expectedItems = 0
  let expectedBytes: number | null = null
  let moved = 0
  let samples: { readonly atMs: number; readonly moved: number }[] = []

  const sample = (nowMs: number) => {
    const last = samples.at(-1)
    if (last === undefined || nowMs - last.atMs >= LEAST_WINDOW_MS) samples.push({ atMs: nowMs, moved })
    while (samples.length > 2 && nowMs - samples[1]!.atMs >= WINDOW_MS) samples = samples.slice(1)
  }
  const rate = (nowMs: number): number => {
    const first = samples[0]
    const elapsedMs = first === undefined ? 0 : nowMs - first.atMs
    return first === undefined || elapsedMs < LEAST_WINDOW_MS ? 0 : ((moved - first.moved) / elapsedMs) * 1000
  }
  const active = () =>
    [...items.values()].filter(({ item }) => !settled.has(item)).sort((a, b) => remaining(b) - remaining(a))

  return {
    expect: (amount) => {
      if (amount.items !== undefined) expectedItems = amount.items
      if (amount.bytes !== undefined) expectedBytes = amount.bytes
    },
    update: (item, bytes, totalBytes, nowMs) => {
      const before = items.get(item)
      if (samples.length === 0) sample(nowMs)
      if (before !== undefined) moved += Math.max(0, bytes - before.bytes)
      items.set(item, { item, bytes, totalBytes })
      sample(nowMs)
    },
    settle: (item) => {
      settled.add(item)
    },
    view: (nowMs) => {
      const bytes = [...items.values()].reduce((sum, one) => sum + one.bytes, 0)
      const bytesPerSecond = Math.round(rate(nowMs))
      const left = expectedBytes === null ? null : Math.max(0, expectedBytes - bytes)
      return {
        item: active()[0]?.item ?? null,
        bytes,
        totalBytes: expectedBytes,
        bytesPerSecond,
        etaSeconds: left === null || bytesPerSecond === 0 ? null : Math.ceil(left / bytesPerSecond),
        done: settled.size,
        total: Math.max(expectedItems, settled.size),
      }
    },
    active,
  }
}

const remaining = ({ bytes, totalBytes }: ItemProgress): number => (totalBytes === null ? 0 : totalBytes - bytes)
