const MILLISECONDS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const BYTES: Record<string, number> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** Milliseconds of `500ms`, `10s`, `5m`, `1h`. The schema has checked the form. */
export function durationMs(text: string): number {
  const unit = text.replace(/^\d+/, '')
  return Number.parseInt(text, 10) * (MILLISECONDS[unit] ?? Number.NaN)
}

/** Bytes of `20MB`, `24GiB`. The schema has checked the form. */
export function sizeBytes(text: string): number {
  const unit = text.replace(/^\d+/, '')
  return Number.parseInt(text, 10) * (BYTES[unit] ?? Number.NaN)
}

/** Shortest text of a duration: `90s`, `10m`, `1500ms`. */
export function formatDuration(milliseconds: number): string {
  for (const [unit, size] of Object.entries(MILLISECONDS).reverse()) {
    if (milliseconds >= size && milliseconds % size === 0) return `${milliseconds / size}${unit}`
  }
  return `${milliseconds}ms`
}
