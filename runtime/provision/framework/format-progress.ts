const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** `1.5 GB`, `820 kB`: powers of 1000, three digits at the most where it matters. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`
}

/** `42 s`, `4 min`, `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 100) return `${Math.round(seconds)} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 100) return `${minutes} min`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** A bar of so many columns, filled up to a share from 0 to 1. */
export function bar(share: number, columns: number): string {
  const filled = Math.round(Math.max(0, Math.min(1, share)) * columns)
  return `[${'#'.repeat(filled)}${'-'.repeat(columns - filled)}]`
}
