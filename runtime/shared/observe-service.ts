import { readFileSync, statSync } from 'node:fs'
import type { MachinePaths } from '../../schema/plan.ts'
import { clearedDeathsFile } from './cleared-deaths.ts'
import { type Death, decodeDeathTally } from './death-tally.ts'
import { isSupervised } from './service-control.ts'
import { decodeStatus, type ServiceStatus } from './supervise-status.ts'

/** All that files say of a service, at one moment. */
export interface ServiceObservation {
  /** A supervisor looks after it. `status` without one is what the last supervisor left. */
  readonly supervised: boolean
  readonly status: ServiceStatus | null
  /** Those since it last got its whole restart budget. */
  readonly deaths: readonly Death[]
  /** All deaths since the machine started, as far as its supervisor has noted them. */
  readonly allDeaths: readonly Death[]
  /** What its `run` waits for before it becomes the service: a gate, the end of a pause. */
  readonly waiting: string | null
  /** When its gate was opened, in ms since 1970; `null` for a closed gate. */
  readonly gateOpenedAtMs: number | null
  /** Why it was given up and is not to run: empty where its `finish` did it, `null` for one that was not given up. */
  readonly givenUp: string | null
}

/** Where a waiting `run` says what it waits for. */
export function waitingDirectory(paths: Pick<MachinePaths, 'run'>): string {
  return `${paths.run}/waiting`
}

export function serviceDirectory(paths: Pick<MachinePaths, 'services'>, name: string): string {
  return `${paths.services}/${name}`
}

/** In a service directory: it was given up, by `finish` or by the sidecar, which says why in it. */
export function givenUpFile(paths: Pick<MachinePaths, 'services'>, name: string): string {
  return `${serviceDirectory(paths, name)}/given-up`
}

type ObservedPaths = Pick<MachinePaths, 'run' | 'gates' | 'services'>

/**
 * A reader of one service. It reads a few hundred bytes a call and starts no process; deaths are read only where the
 * status has changed. It gives the same object for as long as nothing has.
 */
export function createObserver(paths: ObservedPaths, name: string): () => ServiceObservation {
  const directory = serviceDirectory(paths, name)
  const files = { status: `${directory}/supervise/status`, waiting: `${waitingDirectory(paths)}/${name}` }
  const gate = `${paths.gates}/${name}`
  const givenUp = givenUpFile(paths, name)
  let version: string | null = null
  let last: ServiceObservation | null = null
  return () => {
    const found = settledVersion(files.status, Date.now())
    const isSame = last !== null && found !== null && found === version
    const status = isSame && last !== null ? last.status : decodeStatus(readIfThere(files.status))
    const deaths = isSame && last !== null ? last : readDeaths(paths, name)
    version = found
    const seen = {
      supervised: status !== null && isSupervised(directory),
      status,
      deaths: deaths.deaths,
      allDeaths: deaths.allDeaths,
      waiting: status?.up ? firstLine(readIfThere(files.waiting, null)) : null,
      gateOpenedAtMs: statSync(gate, { throwIfNoEntry: false })?.mtimeMs ?? null,
      givenUp: status?.wantUp === false ? firstLine(readIfThere(givenUp, null)) : null,
    }
    if (last === null || !isSame || differs(last, seen)) last = seen
    return last
  }
}

/** Clocks of file systems tick, and inodes are used again: of files younger than this, nothing but the content tells. */
const SETTLED_MS = 100

/** Names what a file is, without reading it; `null` for one that is missing or too young to be told from the next one. */
function settledVersion(path: string, nowMs: number): string | null {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined || Math.abs(nowMs - found.mtimeMs) < SETTLED_MS || found.mtimeMs > nowMs) return null
  return `${found.ino} ${found.mtimeMs} ${found.ctimeMs}`
}

function differs(a: ServiceObservation, b: ServiceObservation): boolean {
  return (
    a.supervised !== b.supervised ||
    a.waiting !== b.waiting ||
    a.gateOpenedAtMs !== b.gateOpenedAtMs ||
    a.givenUp !== b.givenUp
  )
}

/** The tally first: a record that moves meanwhile is then in both, and in none otherwise. */
function readDeaths(paths: ObservedPaths, name: string): Pick<ServiceObservation, 'deaths' | 'allDeaths'> {
  const deaths = decodeDeathTally(readIfThere(`${serviceDirectory(paths, name)}/supervise/death_tally`))
  const cleared = decodeDeathTally(readIfThere(clearedDeathsFile(paths, name)))
  if (cleared.length === 0) return { deaths, allDeaths: deaths }
  const known = new Set(cleared.map(({ id }) => id))
  return { deaths, allDeaths: [...cleared, ...deaths.filter(({ id }) => !known.has(id))] }
}

const firstLine = (content: Buffer | null): string | null => content?.toString().split('\n', 1)[0] ?? null

function readIfThere(path: string): Buffer
function readIfThere(path: string, otherwise: null): Buffer | null
function readIfThere(path: string, otherwise: null | Buffer = Buffer.alloc(0)): Buffer | null {
  // A missing file is the common case here: stat says so without making an exception.
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return otherwise
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return otherwise
    throw error
  }
}
