import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { MachinePaths } from '../../../schema/plan.ts'
import { writeFileAtomically } from '../../shared/atomic-file.ts'
import type { MachineState, ServiceRecord } from '../machine-state.ts'
import type { BootRecord } from './boot-history.ts'
import { historyToKeep, type Kept, type KeptHistory, type KeptService, parseKept } from './kept-state.ts'
import { type KeptRecord, keptOf } from './service-record.ts'

/** The volume may be slow, and what it keeps can wait: the run directory has it at once. */
const VOLUME_DELAY_MS = 1000

export interface StateFiles {
  readonly load: () => Kept
  /** Keeps a record by the end of this turn of the event loop; `keepNow` before it returns. */
  readonly keep: (record: ServiceRecord) => void
  readonly keepNow: (record: ServiceRecord) => void
  readonly keepBoots: (boots: readonly BootRecord[]) => void
  /** Writes all that waits. */
  readonly flush: () => void
}

export interface StateFilesOptions {
  readonly paths: Pick<MachinePaths, 'run' | 'state'>
  readonly bootId: string
  readonly machine: () => MachineState
  readonly onError: (file: string, error: Error) => void
}

interface KeptBoots {
  readonly v: 1
  readonly bootId: string
  readonly boots: readonly BootRecord[]
}

/**
 * What the sidecar knows, on disk: each service in the run directory as soon as it changes, the history of all on the volume a
 * moment later. A sidecar that is killed at any moment finds in the first what it needs; a new boot finds the second.
 */
export function createStateFiles({ paths, bootId, machine, onError }: StateFilesOptions): StateFiles {
  const historyFile = `${paths.state}/sidecar/history.json`
  const directory = `${paths.run}/sidecar`
  const bootsFile = `${directory}/boots.json`
  const fileOf = (name: string): string => `${directory}/services/${name}.json`
  const written = new Map<string, string>()
  const changed = new Map<string, ServiceRecord>()
  let turn: NodeJS.Immediate | undefined
  let timer: NodeJS.Timeout | undefined
  const write = createWriter(onError)

  const writeRecord = (record: ServiceRecord): void => {
    const { name } = record.service
    changed.delete(name)
    const text = JSON.stringify({ v: 1, bootId, record: keptOf(record) } satisfies KeptService)
    if (written.get(name) === text) return
    if (write(fileOf(name), text)) written.set(name, text)
    timer ??= setTimeout(writeHistory, VOLUME_DELAY_MS).unref()
  }
  const writeChanged = (): void => {
    clearImmediate(turn)
    turn = undefined
    for (const record of [...changed.values()]) writeRecord(record)
  }
  const writeHistory = (): void => {
    clearTimeout(timer)
    timer = undefined
    write(historyFile, JSON.stringify(historyToKeep(machine(), bootId, Date.now())))
  }

  return {
    load: () => loadKept(historyFile, directory, bootId),
    keep: (record) => {
      changed.set(record.service.name, record)
      turn ??= setImmediate(writeChanged)
    },
    keepNow: writeRecord,
    keepBoots: (boots) => {
      write(bootsFile, JSON.stringify({ v: 1, bootId, boots } satisfies KeptBoots))
      timer ??= setTimeout(writeHistory, VOLUME_DELAY_MS).unref()
    },
    flush: () => {
      writeChanged()
      writeHistory()
    },
  }
}

/** A file that cannot be written is told of once, until it can be again. */
function createWriter(onError: StateFilesOptions['onError']): (file: string, text: string) => boolean {
  const failing = new Set<string>()
  return (file, text) => {
    try {
      mkdirSync(dirname(file), { recursive: true })
      writeFileAtomically(file, text, 0o600)
      failing.delete(file)
      return true
    } catch (error) {
      if (!failing.has(file)) onError(file, error as Error)
      failing.add(file)
      return false
    }
  }
}

function loadKept(historyFile: string, directory: string, bootId: string): Kept {
  const history = parseKept<KeptHistory>(read(historyFile))
  const services = new Map<string, KeptRecord>()
  for (const file of list(`${directory}/services`)) {
    const path = `${directory}/services/${file}`
    // A file that was being written when the sidecar was killed.
    if (!file.endsWith('.json')) rmSync(path, { force: true })
    const kept = file.endsWith('.json') ? parseKept<KeptService>(read(path)) : null
    if (kept?.bootId === bootId) services.set(file.slice(0, -'.json'.length), kept.record)
  }
  const boots = parseKept<KeptBoots>(read(`${directory}/boots.json`))
  return { history, services, boots: boots?.bootId === bootId ? boots.boots : null }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function list(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
