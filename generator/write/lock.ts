import { readFileSync } from 'node:fs'
import { STATE_DIRECTORY } from './artifact-path.ts'
import { type FileSystem, makeDirectory, removeIfThere } from './file-system.ts'
import { naming, systemCode, writeError } from './write-error.ts'

export interface Lock {
  release(): void
}

/** A process, told apart from a later one with the same number by the tick it started at (0 where unknown). */
export interface ProcessIdentity {
  readonly pid: number
  readonly startTick: string
}

const PREFIX = 'lock-'
/** How often a run that waits for another looks again; the spread keeps two that collided from colliding again. */
const RETRY_MS = { least: 5, spread: 20 }

/**
 * Takes the right to write `root`; waits for another run at most `timeoutMs`.
 *
 * Each run makes a file of its own name and then looks for those of others. Of two runs the one that made its file
 * later sees the other's, so both never go on; a file whose process is dead counts for nothing, so nobody has to
 * break a lock, which cannot be done without a race. Processes are seen within one PID namespace.
 *
 * @throws WriteError `LOCKED` with the other's `pid`, or `WRITE_FAILED`
 */
export function takeLock(root: string, fs: FileSystem, timeoutMs: number): Lock {
  const directory = `${root}/${STATE_DIRECTORY}`
  const self = ownIdentity()
  const file = `${directory}/${PREFIX}${formatIdentity(self)}`
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    naming('WRITE_FAILED', root, () => makeLockFile(fs, directory, file))
    const other = otherHolder(fs, directory, self)
    if (other === undefined) return { release: () => removeIfThere(fs, file) }
    removeIfThere(fs, file)
    if (performance.now() >= deadlineMs)
      throw writeError('LOCKED', root, `process ${other.pid} is writing it`, { pid: other.pid })
    sleep(RETRY_MS.least + Math.random() * RETRY_MS.spread)
  }
}

function makeLockFile(fs: FileSystem, directory: string, file: string): void {
  if (fs.lstatSync(directory, { throwIfNoEntry: false }) === undefined) makeUnlessThere(fs, directory)
  // one that is there already is ours, left by a run of this process that failed
  fs.closeSync(fs.openSync(file, 'w', 0o644))
}

function makeUnlessThere(fs: FileSystem, directory: string): void {
  try {
    makeDirectory(fs, directory)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error
  }
}

/** The living process that has a lock file, if any but us; the files of the dead are removed. */
function otherHolder(fs: FileSystem, directory: string, self: ProcessIdentity): ProcessIdentity | undefined {
  const names = naming('READ_FAILED', directory, () => fs.readdirSync(directory))
  for (const name of names) {
    if (!name.startsWith(PREFIX)) continue
    const identity = parseIdentity(name.slice(PREFIX.length))
    if (identity === undefined || isSame(identity, self)) continue
    if (isAlive(identity)) return identity
    removeIfThere(fs, `${directory}/${name}`)
  }
  return undefined
}

function isSame(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return a.pid === b.pid && a.startTick === b.startTick
}

export function ownIdentity(): ProcessIdentity {
  own ??= { pid: process.pid, startTick: readStat(process.pid)?.startTick ?? '0' }
  return own
}

/** Does not change while the process lives. */
let own: ProcessIdentity | undefined

export function formatIdentity({ pid, startTick }: ProcessIdentity): string {
  return `${pid}-${startTick}`
}

export function parseIdentity(text: string): ProcessIdentity | undefined {
  const match = /^(\d+)-(\d+)$/.exec(text)
  return match === null ? undefined : { pid: Number(match[1]), startTick: match[2]! }
}

export function isAlive({ pid, startTick }: ProcessIdentity): boolean {
  const stat = readStat(pid)
  if (stat !== undefined) return stat.startTick === startTick && !'ZX'.includes(stat.state)
  if (startTick !== '0') return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
}

/** Fields 3 and 22 of proc_pid_stat(5); the name before them may contain anything, also `)`. */
function readStat(pid: number): { state: string; startTick: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0]!, startTick: fields[19]! }
  } catch {
    return undefined
  }
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}
