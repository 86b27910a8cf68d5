import { createHash } from 'node:crypto'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { MachinePaths } from '../../../schema/plan.ts'
import { stateDirectory } from './task-state.ts'

export interface TaskLock {
  readonly release: () => void
}

/** A process as the name of its lock file says it. */
interface Owner {
  readonly pid: number
  /** Clock ticks from the boot of the host to its start: tells it from a later process with its number. */
  readonly startTicks: string
  /** Where its number means something: a boot of a host, and a PID namespace in it. */
  readonly world: string
}

/** A process of another container cannot be looked up: it shows by touching its file that it lives. */
const TOUCH_MS = 2000
const SILENT_MS = 10_000

const RETRY_MS = { least: 100, spread: 100 }

/**
 * Takes a task for this process, and waits for another that has it: then that one's work is done, and a look at its state
 * is all that is left to do. `onWait` hears once who it is.
 *
 * Each process makes a file of its own name and then looks for those of others. Of two, the one that made its file later
 * sees the other's, so both never go on, and nobody has to break a lock, which cannot be done without a race.
 */
export async function lockTask(
  paths: Pick<MachinePaths, 'state'>,
  task: string,
  onWait: (pid: number) => void,
): Promise<TaskLock> {
  const directory = stateDirectory(paths)
  mkdirSync(directory, { recursive: true })
  const prefix = `.lock-${task}-`
  const self = { pid: process.pid, startTicks: startTicks(process.pid), world: ownWorld() }
  const file = `${directory}/${prefix}${nameOf(self)}`
  for (let waitsFor = 0; ; ) {
    writeFileSync(file, '')
    const other = otherOwner(directory, prefix, self)
    if (other === null) return holdLock(file)
    rmSync(file, { force: true })
    if (other !== waitsFor) onWait(other)
    waitsFor = other
    await delay(RETRY_MS.least + Math.random() * RETRY_MS.spread)
  }
}

function holdLock(file: string): TaskLock {
  const timer = setInterval(() => touch(file), TOUCH_MS).unref()
  return {
    release: () => {
      clearInterval(timer)
      rmSync(file, { force: true })
    },
  }
}

function touch(file: string): void {
  try {
    const now = new Date()
    utimesSync(file, now, now)
  } catch {
    // A volume that is gone for a moment; the work itself will say so.
  }
}

/** The pid of a living process that has a file here, if any but us; the files of the dead are removed. */
function otherOwner(directory: string, prefix: string, self: Owner): number | null {
  for (const name of readdirSync(directory)) {
    const owner = name.startsWith(prefix) ? ownerOf(name.slice(prefix.length)) : null
    if (owner === null || nameOf(owner) === nameOf(self)) continue
    const file = `${directory}/${name}`
    if (isAlive(owner, self.world, file)) return owner.pid
    rmSync(file, { force: true })
  }
  return null
}

function isAlive({ pid, startTicks: ticks, world }: Owner, here: string, file: string): boolean {
  if (world === here) return startTicks(pid) === ticks
  const touched = statSync(file, { throwIfNoEntry: false })
  return touched !== undefined && Date.now() - touched.mtimeMs < SILENT_MS
}

const nameOf = ({ pid, startTicks: ticks, world }: Owner): string => `${pid}-${ticks}-${world}`

/** `null` for the lock of another task whose name only begins like this one's. */
function ownerOf(text: string): Owner | null {
  const match = /^(\d+)-(\d*)-([0-9a-f]+)$/.exec(text)
  return match === null ? null : { pid: Number(match[1]), startTicks: match[2]!, world: match[3]! }
}

function ownWorld(): string {
  const boot = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'))
  const namespace = attempt(() => readlinkSync('/proc/self/ns/pid'))
  return createHash('sha256').update(`${boot} ${namespace}`).digest('hex').slice(0, 12)
}

/** Field 22 of proc_pid_stat(5); the name before it, in parentheses, may hold anything. Empty for no living process. */
function startTicks(pid: number): string {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'))
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' ? '' : (fields[19] ?? '')
}

function attempt(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
