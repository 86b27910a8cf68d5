import { watchDirectories } from '../watch-directories.ts'

/** Lets a reader sleep until there may be something new in a directory. */
export interface Wake {
  /** Resolves at a change since the last call, after `timeoutMs` at the latest. */
  readonly wait: (timeoutMs: number) => Promise<void>
  readonly close: () => void
}

/** A service that prints a lot is read in portions, not write by write. */
const GATHER_MS = 40

export function createWake(directories: readonly string[]): Wake {
  let isChanged = false
  let isClosed = false
  let wakeUp = () => {}
  const onChange = () => {
    isChanged = true
    wakeUp()
  }
  const watch = watchDirectories({
    directories: new Map(directories.map((directory) => [directory, onChange])),
    // inotify can lose events, and some file systems have none.
    onSweep: onChange,
  })

  const wait = async (timeoutMs: number): Promise<void> => {
    if (!isChanged && !isClosed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs)
        wakeUp = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      wakeUp = () => {}
    }
    if (isClosed) return
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS))
    isChanged = false
  }

  const close = () => {
    isClosed = true
    watch.close()
    wakeUp()
  }
  return { wait, close }
}
