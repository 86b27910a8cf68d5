import type { Environment } from '../../schema/interpolation.ts'
import { nearest } from '../../schema/nearest.ts'
import type { Reader, Reading, Said } from './environment-row.ts'
import type { JsonValue } from './origin.ts'

/** A service of the machine file that a kind of worker drives. */
export type WorkedService = 'comfyui' | 'automatic1111' | 'ollama'

interface WorkerKind {
  readonly services: readonly WorkedService[]
  /** What the worker calls the services it drives. */
  readonly connectors: readonly string[]
  /** One process a GPU; Ollama is one server for all. */
  readonly isGpuBound: boolean
}

/** The kinds of worker that have a service on this machine, by the names that the originals gave them. */
export const WORKER_KINDS: Readonly<Record<string, WorkerKind>> = {
  comfyui: { services: ['comfyui'], connectors: ['comfyui'], isGpuBound: true },
  a1111: { services: ['automatic1111'], connectors: ['a1111'], isGpuBound: true },
  'emprops-app': { services: ['comfyui', 'automatic1111'], connectors: ['comfyui', 'a1111'], isGpuBound: true },
  ollama: { services: ['ollama'], connectors: ['ollama'], isGpuBound: false },
}

export interface WorkerEntry {
  readonly type: string
  readonly kind: WorkerKind
  readonly count: number | 'auto'
}

type Workers = { readonly entries: readonly WorkerEntry[] } | { readonly problems: readonly string[] }

const KNOWN_TYPES = Object.keys(WORKER_KINDS).map((type) => `"${type}"`)

export const WORKERS_ACCEPTS =
  'type:count pairs with commas between them: the type is one of comfyui, a1111, emprops-app and ollama, the count a ' +
  'whole number from 1 to 64 or "auto"'

/** Reads `type:count[,type:count]`: all that is wrong with it, or its entries. */
export function parseWorkers(text: string): Workers {
  const problems: string[] = []
  const entries: WorkerEntry[] = []
  const taken = new Set<WorkedService>()
  for (const item of text.split(',').map((part) => part.trim())) {
    if (item === '') continue
    const entry = parseEntry(item)
    if ('problem' in entry) {
      problems.push(entry.problem)
      continue
    }
    const twice = entry.kind.services.find((service) => taken.has(service))
    if (twice !== undefined) problems.push(`"${item}" gives ${SERVICE_NAMES[twice]} a second count`)
    for (const service of entry.kind.services) taken.add(service)
    entries.push(entry)
  }
  if (problems.length > 0) return { problems }
  return entries.length > 0 ? { entries } : { problems: [`it must be ${WORKERS_ACCEPTS}`] }
}

const SERVICE_NAMES: Readonly<Record<WorkedService, string>> = {
  comfyui: 'ComfyUI',
  automatic1111: 'Automatic1111',
  ollama: 'Ollama',
}

function parseEntry(item: string): WorkerEntry | { problem: string } {
  const [type = '', count, ...rest] = item.split(':').map((part) => part.trim())
  const kind = Object.hasOwn(WORKER_KINDS, type) ? WORKER_KINDS[type] : undefined
  if (kind === undefined) return { problem: unknownType(type) }
  if (count === undefined || rest.length > 0) return { problem: `"${item}" must be a type and a count: "${type}:auto"` }
  if (count.toLowerCase() === 'auto') return { type, kind, count: 'auto' }
  const number = /^[0-9]{1,9}$/.test(count) ? Number(count) : 0
  if (number >= 1 && number <= 64) return { type, kind, count: number }
  return { problem: `the count of "${item}" must be a whole number from 1 to 64, or "auto"` }
}

function unknownType(type: string): string {
  const guess = nearest(type, Object.keys(WORKER_KINDS))
  const advice =
    guess === undefined
      ? `it has ${KNOWN_TYPES.join(', ')}; connectors without a service here go to WORKER_CONNECTORS`
      : `did you mean "${guess}"?`
  return `this machine has no service for workers of type "${type}": ${advice}`
}

/**
 * How a count spreads over the GPUs: a service runs on each of them or on GPU 0 alone. Counts above the GPUs are cut
 * to them, as the originals did.
 */
function spread(entry: WorkerEntry, gpus: JsonValue | undefined): Said | { readonly problem: string } {
  const { type, count, kind } = entry
  if (count === 'auto' || count === gpus) return { value: true }
  if (count === 1) return { value: false }
  if (typeof gpus !== 'number') {
    return { problem: `"${type}:${count}" needs to know the GPUs: write "${type}:auto", or set NUM_GPUS to a number` }
  }
  if (count > gpus && gpus > 0 && kind.isGpuBound) {
    return { value: true, warnings: [`"${type}:${count}" is cut to ${gpus}: there is one for each GPU at the most`] }
  }
  return {
    problem: `"${type}:${count}" does not fit ${gpus} GPUs: write "${type}:auto" for all of them, or "${type}:1" for GPU 0 alone`,
  }
}

/** Gives the number of GPUs that the environment decides on, `auto` included; `undefined` where it says nothing. */
export type GpusOf = (environment: Environment) => JsonValue | undefined

/** A reader of `WORKERS` that leaves what is wrong with it to `workersSwitch`. */
function workersReader(read: (entries: readonly WorkerEntry[], environment: Environment) => Reading): Reader {
  return {
    accepts: WORKERS_ACCEPTS,
    read: (text, environment) => {
      const workers = parseWorkers(text)
      return 'entries' in workers ? read(workers.entries, environment) : null
    },
  }
}

/** `redisWorker.enabled`: always yes. Reports all that is wrong with the variable. */
export function workersSwitch(gpusOf: GpusOf): Reader {
  return {
    accepts: WORKERS_ACCEPTS,
    read: (text, environment) => {
      const workers = parseWorkers(text)
      if ('problems' in workers) return workers
      const spreads = workers.entries.map((entry) => spread(entry, gpusOf(environment)))
      const problems = spreads.flatMap((result) => ('problem' in result ? [result.problem] : []))
      const warnings = spreads.flatMap((result) => ('problem' in result ? [] : (result.warnings ?? [])))
      return problems.length > 0 ? { problems } : { value: true, warnings }
    },
  }
}

/** `enabled` of a service: whether a type that it serves is listed. The list is complete: what it lacks does not run. */
export function workersEnable(service: WorkedService): Reader {
  return workersReader((entries) =>
    entries.some(({ kind }) => kind.services.includes(service)) ? { value: true } : { value: false, isImplied: true },
  )
}

/** `perGpu` of a service. */
export function workersPerGpu(service: WorkedService, gpusOf: GpusOf): Reader {
  return workersReader((entries, environment) => {
    const entry = entries.find(({ kind }) => kind.services.includes(service))
    return entry === undefined ? null : impliedSpread([entry], gpusOf(environment))
  })
}

/** `redisWorker.perGpu`: a worker on each GPU if any type is there. */
export function workersOnEachGpu(gpusOf: GpusOf): Reader {
  return workersReader((entries, environment) => impliedSpread(entries, gpusOf(environment)))
}

function impliedSpread(entries: readonly WorkerEntry[], gpus: JsonValue | undefined): Reading {
  const spreads = entries.map((entry) => spread(entry, gpus))
  const values = spreads.flatMap((result) => ('problem' in result ? [] : [result.value]))
  return values.length < spreads.length ? null : { value: values.includes(true), isImplied: true }
}

/** `redisWorker.connectors`, in the order of the list. */
export const workersConnectors: Reader = workersReader((entries) => ({
  value: [...new Set(entries.flatMap(({ kind }) => kind.connectors))],
  isImplied: true,
}))

/** The number of GPUs that explicit counts ask for, where no variable of that name says it. */
export const workersGpus: Reader = workersReader((entries) => {
  const counts = entries.flatMap(({ kind, count }) => (kind.isGpuBound && count !== 'auto' ? [count] : []))
  return counts.length === 0 ? null : { value: Math.max(...counts), isImplied: true }
})
