import type { LogCursor } from './log-store.ts'

const PREFIX = 'c'

/** A cursor as it travels in an address: opaque, no character of it needs quoting. */
export function writeCursor({ timeMs, count }: LogCursor): string {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleBE(timeMs)
  return `${PREFIX}${bytes.toString('base64url')}${count === null ? '' : `.${count}`}`
}

/** The cursor that `text` is; `null` where it is none. */
export function readCursor(text: string): LogCursor | null {
  const parts = /^c([\w-]{11})(?:\.(\d{1,9}))?$/.exec(text)
  if (parts === null) return null
  const timeMs = Buffer.from(parts[1]!, 'base64url').readDoubleBE()
  if (!Number.isFinite(timeMs)) return null
  return { timeMs, count: parts[2] === undefined ? null : Number(parts[2]) }
}
