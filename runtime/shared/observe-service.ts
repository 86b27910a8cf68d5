import { readFileSync, statSync } from 'node:fs'
import type { MachinePaths } from '../../schema/plan.ts'
import { type Death, decodeDeathTally } from './death-tally.ts'
import { isSupervised } from './service-control.ts'
import { decodeStatus, type ServiceStatus } from './supervise-status.ts'

/** All that files say of a service, at one moment. */
export interface ServiceObservation {
  /** A supervisor looks after it. `status` without one is what the last supervisor left. */
  readonly supervised: boolean
  readonly status: ServiceStatus | null
  readonly deaths: readonly Death[]
  /** What its `run` waits for before it becomes the service: a gate, the end of a pause. */
  readonly waiting: string | null
  /** When its gate was opened, in ms since 1970; `null` for a closed gate. */
  readonly gateOpenedAtMs: number | null
}

/** Where a waiting `run` says what it waits for. */
export function waitingDirectory(paths: Pick<MachinePaths, 'run'>): string {
  return `${paths.run}/waiting`
}

export function serviceDirectory(paths: Pick<MachinePaths, 'services'>, name: string): string {
  return `${paths.services}/${name}`
}

/**
 * A reader of one service. It reads a few hundred bytes a call and starts no process; the death tally is read only where
 * the status has changed.
 */
export function createObserver(
  paths: Pick<MachinePaths, 'run' | 'gates' | 'services'>,
  name: string,
): () => ServiceObservation {
  const directory = serviceDirectory(paths, name)
  let lastStatus: Buffer = Buffer.alloc(0)
  let deaths: readonly Death[] = []
  return () => {
    const bytes = readIfThere(`${directory}/supervise/status`)
    if (!bytes.equals(lastStatus)) deaths = decodeDeathTally(readIfThere(`${directory}/supervise/death_tally`))
    lastStatus = bytes
    const status = decodeStatus(bytes)
    const waiting = status?.up ? readIfThere(`${waitingDirectory(paths)}/${name}`, null) : null
    return {
      supervised: status !== null && isSupervised(directory),
      status,
      deaths,
      waiting: waiting === null ? null : (waiting.toString().split('\n', 1)[0] ?? ''),
      gateOpenedAtMs: statSync(`${paths.gates}/${name}`, { throwIfNoEntry: false })?.mtimeMs ?? null,
    }
  }
}

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
