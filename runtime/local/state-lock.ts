import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'

/** Who holds a state directory: a process, named so that a later one with the same number is not taken for it. */
interface Holder {
  readonly pid: number
  readonly startTicks: string
}

export interface StateLock {
  readonly release: () => void
}

/**
 * Takes a state directory for this process, or gives the pid of the one that has it. A lock whose process is gone, after a
 * kill -9 or a power cut, is taken over.
 */
export function lockState(stateDirectory: string): StateLock | { readonly heldBy: number } {
  mkdirSync(stateDirectory, { recursive: true })
  const path = `${stateDirectory}/up.lock`
  const own = `${path}.${process.pid}`
  writeFileSync(own, JSON.stringify({ pid: process.pid, startTicks: startTicks(process.pid) }))
  try {
    for (;;) {
      if (linkIfAbsent(own, path)) return { release: () => rmSync(path, { force: true }) }
      const holder = readHolder(path)
      if (holder !== null && isAlive(holder)) return { heldBy: holder.pid }
      removeStale(path, own)
    }
  } finally {
    rmSync(own, { force: true })
  }
}

function linkIfAbsent(own: string, path: string): boolean {
  try {
    linkSync(own, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** Another process may have replaced the stale lock just now: what was taken away is looked at again, and put back. */
function removeStale(path: string, own: string): void {
  const aside = `${own}.stale`
  try {
    renameSync(path, aside)
  } catch {
    return
  }
  const holder = readHolder(aside)
  if (holder !== null && isAlive(holder)) linkIfAbsent(aside, path)
  rmSync(aside, { force: true })
}

function readHolder(path: string): Holder | null {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as Partial<Holder>
    return typeof value.pid === 'number' && typeof value.startTicks === 'string'
      ? { pid: value.pid, startTicks: value.startTicks }
      : null
  } catch {
    return null
  }
}

function isAlive({ pid, startTicks: ticks }: Holder): boolean {
  return startTicks(pid) === ticks
}

/** When a process started, in clock ticks since the boot of the host (proc(5), field 22); `''` for none. */
function startTicks(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in parentheses and may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
