import { Refusal } from './refusal.ts'

/** A bound on what runs at once. */
export interface Slots {
  /** Takes one; gives what returns it, which may be called again. @throws Refusal where all are taken. */
  readonly take: () => () => void
  /** Runs with one, and returns it when that has ended. */
  readonly use: <T>(work: () => Promise<T>) => Promise<T>
}

export function createSlots(count: number, what: string): Slots {
  let taken = 0
  const take = () => {
    if (taken >= count) {
      const message = `cannot do more at once: ${count} ${what} are open already`
      throw new Refusal(503, 'BUSY', message, { 'retry-after': '1' })
    }
    taken += 1
    let isMine = true
    return () => {
      if (isMine) taken -= 1
      isMine = false
    }
  }
  return {
    take,
    use: async (work) => {
      const release = take()
      try {
        return await work()
      } finally {
        release()
      }
    },
  }
}
