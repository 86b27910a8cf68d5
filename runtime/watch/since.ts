/** Where to begin to read. */
export type Since =
  /** So long ago, in ms. */
  | { readonly kind: 'age'; readonly ms: number }
  /** A time, in ms since 1970. */
  | { readonly kind: 'time'; readonly ms: number }
  /** After the event of this number. */
  | { readonly kind: 'seq'; readonly seq: number }
  | { readonly kind: 'all' }

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** `10m`, `2026-11-21T20:00:00Z`, `0` for everything, or the number of an event; `null` for anything else. */
export function parseSince(text: string): Since | null {
  const [, count, unit] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? []
  if (count !== undefined && unit) return { kind: 'age', ms: Number(count) * UNITS[unit as keyof typeof UNITS] }
  if (count !== undefined) return Number(count) === 0 ? { kind: 'all' } : { kind: 'seq', seq: Number(count) }
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(ms) ? null : { kind: 'time', ms: Math.max(0, ms) }
}
