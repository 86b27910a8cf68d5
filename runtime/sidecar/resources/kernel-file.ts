import { readFileSync } from 'node:fs'

/** The text of a small file of the kernel; `null` where there is none. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return null
  }
}

/** A file that holds one number; `null` for none, and for words such as `max`. */
export function readNumber(path: string): number | null {
  const text = readText(path)
  return text !== null && /^\d+$/.test(text) ? Number(text) : null
}

/** The number behind a key in a file of lines `key number` or `key: number kB`. */
export function readEntry(path: string, key: string): number | null {
  const line = (readText(path) ?? '').split('\n').find((each) => each.split(/:?\s+/, 1)[0] === key)
  const value = line?.split(/:?\s+/)[1]
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : null
}
