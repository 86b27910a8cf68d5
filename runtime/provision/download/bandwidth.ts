/** Shares a number of bytes a second among all who take from it. */
export interface Bandwidth {
  /** Takes bytes that have arrived; gives how long to wait before more are read. */
  readonly take: (bytes: number) => number
}

export const UNLIMITED: Bandwidth = { take: () => 0 }

/** A pause shorter than this is not worth a timer. */
const LEAST_PAUSE_MS = 5

/** What may be taken at once after a quiet time. */
const BURST_MS = 100

export function createBandwidth(bytesPerSecond: number | null, nowMs = () => performance.now()): Bandwidth {
  if (bytesPerSecond === null) return UNLIMITED
  // The moment up to which the bytes that were taken are paid for.
  let paidUntilMs = Number.NEGATIVE_INFINITY
  return {
    take: (bytes) => {
      const now = nowMs()
      paidUntilMs = Math.max(paidUntilMs, now - BURST_MS) + (bytes / bytesPerSecond) * 1000
      const debtMs = paidUntilMs - now
      return debtMs < LEAST_PAUSE_MS ? 0 : Math.ceil(debtMs)
    },
  }
}

/** What the buffers of all transfers may take together: two for reading and two for writing, each. */
const BUFFER_BYTES = 40 * 1024 * 1024
const BUFFERS_PER_TRANSFER = 4

/** How large reads may be: small where a limit is low, so that many small steps make it, and none is a long pause. */
export function readBytes(bytesPerSecond: number | null, transfers: number): number {
  const share = bytesPerSecond === null ? Number.POSITIVE_INFINITY : bytesPerSecond / 8
  const memory = BUFFER_BYTES / BUFFERS_PER_TRANSFER / transfers
  return Math.floor(Math.max(16 * 1024, Math.min(1024 * 1024, share, memory)))
}
