/** Wakes one sleeper. A ring that nobody waits for wakes the next one at once. */
export interface Bell {
  readonly ring: () => void
  /** Ends with a ring, or after so many ms. */
  readonly wait: (timeoutMs: number) => Promise<void>
}

export function createBell(): Bell {
  let hasRung = false
  let wake: (() => void) | null = null
  return {
    ring: () => {
      hasRung = wake === null
      wake?.()
    },
    wait: (timeoutMs) => {
      if (hasRung) {
        hasRung = false
        return Promise.resolve()
      }
      return new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer)
          wake = null
          resolve()
        }
        const timer = setTimeout(done, timeoutMs)
        wake = done
      })
    },
  }
}
