import { type FSWatcher, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, watch } from 'node:fs'
import type { EventDraft } from '../../shared/machine-event.ts'
import { readSpooledDraft } from './spooled-draft.ts'

export interface SpoolReaderOptions {
  readonly directory: string
  /** Keeps an event with the name of its file. `false`: not now, and the file stays. */
  readonly take: (draft: EventDraft, name: string) => boolean
  /** Names of files whose events are kept already: their removal was cut off by a crash. */
  readonly takenNames: () => ReadonlySet<string>
  readonly onProblem: (message: string) => void
}

/** The spool is looked at this often even where nothing was heard: inotify is not everywhere, nor for everybody. */
const SWEEP_MS = 1000

/** In one go; the rest comes in the next turn, so that a long queue holds up nothing. */
const MAX_FILES = 200

const REJECTED = 'rejected'
const MAX_REJECTED = 100

/** Takes the events of other programs, in the order of their names, each once. */
export function startSpoolReader({ directory, take, takenNames, onProblem }: SpoolReaderOptions) {
  let watcher: FSWatcher | null = null
  let timer: NodeJS.Timeout | undefined
  let isScheduled = false
  let isClosed = false
  /** Files that are done with and cannot be removed. */
  const stuck = new Set<string>()
  let taken: ReadonlySet<string> | null = null
  const complaints = new Set<string>()

  const complain = (key: string, message: string) => {
    if (complaints.has(key)) return
    complaints.add(key)
    onProblem(message)
  }

  const forget = (name: string) => {
    try {
      rmSync(`${directory}/${name}`, { force: true })
    } catch (error) {
      stuck.add(name)
      complain('remove', `cannot remove files from "${directory}": ${(error as Error).message}`)
    }
  }

  const reject = (name: string, why: string) => {
    onProblem(`cannot take the event in "${directory}/${name}": ${why}; it is kept in "${REJECTED}" beside it`)
    if (listFiles(`${directory}/${REJECTED}`).length >= MAX_REJECTED) return forget(name)
    try {
      mkdirSync(`${directory}/${REJECTED}`, { recursive: true })
      renameSync(`${directory}/${name}`, `${directory}/${REJECTED}/${name}`)
    } catch {
      stuck.add(name)
    }
  }

  /** Whether the next file may be looked at. */
  const takeFile = (name: string): boolean => {
    const text = readIfThere(`${directory}/${name}`)
    if (text === null) return true
    const draft = readSpooledDraft(text)
    if (typeof draft === 'string') reject(name, draft)
    else if (take(draft, name)) forget(name)
    else return false
    return true
  }

  const sweep = () => {
    isScheduled = false
    if (isClosed) return
    const names = listFiles(directory).filter((name) => !stuck.has(name))
    if (names.length > 0) taken ??= takenNames()
    for (const name of names.slice(0, MAX_FILES)) {
      if (taken?.has(name)) forget(name)
      else if (!takeFile(name)) return
    }
    if (names.length > MAX_FILES) schedule()
  }

  const schedule = () => {
    if (isScheduled) return
    isScheduled = true
    setImmediate(sweep)
  }

  const tick = () => {
    watcher ??= watchDirectory(directory, schedule, () => {
      watcher = null
    })
    schedule()
    timer = setTimeout(tick, SWEEP_MS)
    timer.unref()
  }

  tick()
  return {
    close: () => {
      isClosed = true
      clearTimeout(timer)
      watcher?.close()
    },
  }
}

function watchDirectory(directory: string, onChange: () => void, onEnd: () => void): FSWatcher | null {
  try {
    mkdirSync(directory, { recursive: true })
    const watcher = watch(directory, { persistent: false }, onChange)
    watcher.on('error', () => {
      watcher.close()
      onEnd()
    })
    return watcher
  } catch {
    return null
  }
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
      .sort()
  } catch {
    return []
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
