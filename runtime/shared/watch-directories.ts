import { type FSWatcher, statSync, watch as watchDirectory } from 'node:fs'

/** How often everything is looked at although nothing was heard: inotify loses events where its queue is full. */
const SWEEP_MS = 3000

/** While nothing is heard of a directory: it does not exist, or this user has no more watches. */
const BLIND_SWEEP_MS = 1000

/** While a directory that should be watched is missing: at a boot the supervisors come up beside the sidecar. */
const EAGER_SWEEP_MS = 100
const MAX_EAGER_SWEEPS = 50

export interface WatchOptions {
  /** Directories and what to call when something in one changes: `supervise/` directories, the gates, the waits. */
  readonly directories: ReadonlyMap<string, () => void>
  /** Every few seconds, after watches that had died were set up again. */
  readonly onSweep: () => void
  /** `fs.watch`, or one that fails. */
  readonly watch?: (path: string, onEvent: () => void) => FSWatcher
}

const watchQuietly: NonNullable<WatchOptions['watch']> = (path, onEvent) =>
  watchDirectory(path, { persistent: false }, onEvent)

interface Watched {
  readonly watcher: FSWatcher
  readonly identity: string
}

/**
 * Watches directories that may not exist yet and may be replaced. Directories and never files are watched: s6 replaces its
 * status file at each change. Events come in bursts; a burst is one call.
 */
export function watchDirectories({ directories, onSweep, watch = watchQuietly }: WatchOptions): { close: () => void } {
  const watched = new Map<string, Watched>()
  const pending = new Set<string>()
  let timer: NodeJS.Timeout | undefined
  let isClosed = false
  let eagerSweeps = 0

  const notify = (path: string) => {
    if (pending.has(path)) return
    pending.add(path)
    setImmediate(() => {
      if (!pending.delete(path) || isClosed) return
      if (watched.has(path)) rearm(path)
      directories.get(path)?.()
    })
  }

  const forget = (path: string) => {
    watched.get(path)?.watcher.close()
    watched.delete(path)
  }

  const arm = (path: string) => {
    const identity = identify(path)
    if (watched.get(path)?.identity === identity) return
    forget(path)
    if (identity === undefined) return
    try {
      const watcher = watch(path, () => notify(path))
      watcher.on('error', () => forget(path))
      watched.set(path, { watcher, identity })
      notify(path)
    } catch {
      // It vanished again, or this user has no more watches: the sweep sees every change too, only later.
    }
  }

  /** A change may have been the end of the directory: the next one is not to wait for a slow sweep. */
  const rearm = (path: string) => {
    arm(path)
    if (watched.has(path)) return
    eagerSweeps = 0
    clearTimeout(timer)
    timer = setTimeout(sweep, EAGER_SWEEP_MS).unref()
  }

  const sweep = () => {
    for (const path of directories.keys()) arm(path)
    timer = setTimeout(sweep, nextSweepMs()).unref()
    onSweep()
  }

  const nextSweepMs = (): number => {
    if (watched.size === directories.size) return SWEEP_MS
    if (eagerSweeps >= MAX_EAGER_SWEEPS) return BLIND_SWEEP_MS
    eagerSweeps += 1
    return EAGER_SWEEP_MS
  }

  sweep()
  return {
    close: () => {
      isClosed = true
      clearTimeout(timer)
      for (const path of [...watched.keys()]) forget(path)
    },
  }
}

/** Numbers of inodes are used again at once, for the directory that comes in the place of another above all. */
function identify(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? undefined : `${found.dev}:${found.ino}:${found.birthtimeMs}`
}
