import type { EventProgress, MachineEvent } from '../shared/machine-event.ts'
import type { MachineStatus } from './machine-status.ts'
import { isRecord } from './stream-entry.ts'

export interface FleetService {
  readonly gpu: number | null
  readonly state: string
  readonly restarts: number
  /** Of what it fetches or does, while it does. */
  readonly progress: EventProgress | null
  /** Why it is not what it should be. */
  readonly reason: string | null
}

/** One machine as its events and its status show it. All times are in ms by the clock of Redis. */
export interface FleetMachine {
  readonly id: string
  readonly bootId: string
  /** Number of the newest event or status that the states come from. */
  readonly seq: number
  readonly phase: string
  readonly services: ReadonlyMap<string, FleetService>
  readonly workers: ReadonlyMap<string, string>
  readonly alarms: ReadonlySet<string>
  /** As the status counts them; `null` before one was seen. */
  readonly counts: { readonly ready: number; readonly total: number } | null
  readonly bootedAtMs: number | null
  /** The newest event that says something happened. */
  readonly last: { readonly event: MachineEvent; readonly atMs: number } | null
  readonly seenAtMs: number
  /** Whether its status is there; `null`: nobody has looked yet. */
  readonly isThere: boolean | null
}

export type Fleet = ReadonlyMap<string, FleetMachine>

/** Bounds of what is kept, for streams that somebody fills with nonsense. */
const MOST_NAMES = 2000
export const MOST_MACHINES = 5000

export function unknownMachine(id: string): FleetMachine {
  return {
    id,
    bootId: '',
    seq: 0,
    phase: '-',
    services: new Map(),
    workers: new Map(),
    alarms: new Set(),
    counts: null,
    bootedAtMs: null,
    last: null,
    seenAtMs: 0,
    isThere: null,
  }
}

/** The machine after an event that Redis got at this time. */
export function applyEvent(before: FleetMachine, event: MachineEvent, atMs: number): FleetMachine {
  const isNewBoot = event.bootId !== before.bootId
  const machine = isNewBoot ? { ...unknownMachine(before.id), isThere: before.isThere, last: before.last } : before
  const seen = {
    ...machine,
    bootId: event.bootId,
    seenAtMs: Math.max(atMs, before.seenAtMs),
    last: event.type === 'health.digest' ? machine.last : { event, atMs },
    ...(event.type === 'machine.started' ? { bootedAtMs: atMs } : {}),
  }
  // The status was newer than what comes in here.
  const isStale = event.seq <= seen.seq
  return { ...applyFacts(seen, event, isStale), seq: Math.max(seen.seq, event.seq) }
}

const PHASES: Readonly<Record<string, string>> = {
  'machine.started': 'starting',
  'machine.ready': 'ready',
  'machine.degraded': 'degraded',
  'machine.stopping': 'stopping',
  'machine.stopped': 'stopped',
}

function applyFacts(machine: FleetMachine, event: MachineEvent, isStale: boolean): FleetMachine {
  const { type, worker, status } = event
  if (type === 'health.digest') return applyDigest(machine, event, isStale)
  if (type === 'machine.alarm') return applyAlarm(machine, event)
  const phase = isStale ? undefined : PHASES[type]
  const workers =
    type === 'worker.state' && worker !== undefined && !isStale
      ? withEntries(machine.workers, [[worker, status ?? '-']])
      : machine.workers
  const services = applyToService(machine.services, event, isStale)
  return { ...machine, phase: phase ?? machine.phase, workers, services }
}

function applyAlarm(machine: FleetMachine, { status, context }: MachineEvent): FleetMachine {
  const alarm = String(context?.alarm ?? 'unknown')
  const alarms = new Set(machine.alarms)
  if (status === 'cleared') alarms.delete(alarm)
  else if (alarms.size < MOST_NAMES) alarms.add(alarm)
  return { ...machine, alarms }
}

const NEW_SERVICE: FleetService = { gpu: null, state: '-', restarts: 0, progress: null, reason: null }

function applyToService(
  services: FleetMachine['services'],
  event: MachineEvent,
  isStale: boolean,
): FleetMachine['services'] {
  const { type, service, gpu, status, progress, error, context } = event
  const [subject] = type.split('.', 1)
  if (service === undefined || !['service', 'worker', 'provision'].includes(subject ?? '')) return services
  const before = services.get(service) ?? NEW_SERVICE
  const restarts = context?.restarts
  const isAboutState = subject === 'service'
  const after: FleetService = {
    gpu: gpu ?? before.gpu,
    state: isAboutState && !isStale ? (status ?? before.state) : before.state,
    restarts: typeof restarts === 'number' ? restarts : before.restarts,
    progress: isAboutState || type === 'provision.item' ? before.progress : (progress ?? null),
    reason: isAboutState || type === 'provision.failed' ? (error?.message ?? null) : before.reason,
  }
  return withEntries(services, [[service, after]])
}

/** A digest repeats all that was told: with it, nothing before it is needed. */
function applyDigest(machine: FleetMachine, { context = {} }: MachineEvent, isStale: boolean): FleetMachine {
  const told = recordEntries(context.services).flatMap(([name, facts]) => {
    if (!isRecord(facts)) return []
    const before = machine.services.get(name) ?? NEW_SERVICE
    const state = typeof facts.state === 'string' && !isStale ? facts.state : before.state
    const restarts = typeof facts.restarts === 'number' ? facts.restarts : before.restarts
    return [[name, { ...before, state, restarts }] as const]
  })
  const states = isStale ? [] : recordEntries(context.workers)
  const workers = withEntries(
    machine.workers,
    states.flatMap(([name, state]) => (typeof state === 'string' ? [[name, state] as const] : [])),
  )
  const services = withEntries(machine.services, told)
  const alarms = Array.isArray(context.alarms) ? new Set(context.alarms.map(String)) : machine.alarms
  const phase = typeof context.phase === 'string' && !isStale ? context.phase : machine.phase
  return { ...machine, services, workers, alarms, phase }
}

const recordEntries = (value: unknown) => (isRecord(value) ? Object.entries(value).slice(0, MOST_NAMES) : [])

/** The machine after a look at its status; `null`: it has none, it is gone. */
export function applyStatus(before: FleetMachine, status: MachineStatus | null, nowMs: number): FleetMachine {
  if (status === null) return { ...before, isThere: false }
  const seenAtMs = Math.max(before.seenAtMs, nowMs - status.ageMs)
  const isNewBoot = status.bootId !== before.bootId
  const machine: FleetMachine = {
    ...(isNewBoot ? { ...unknownMachine(before.id), last: before.last } : before),
    seenAtMs,
    isThere: true,
    bootedAtMs: nowMs - status.ageMs - status.upMs,
    counts: { ready: status.ready, total: status.total },
  }
  if (!isNewBoot && status.seq < before.seq) return machine
  const states = [...status.services].map(([name, state]) => {
    return [name, { ...(machine.services.get(name) ?? NEW_SERVICE), state }] as const
  })
  const services = withEntries(machine.services, states)
  const { bootId, seq, phase, workers } = status
  return { ...machine, bootId, seq, phase, workers, services }
}

function withEntries<T>(map: ReadonlyMap<string, T>, entries: Iterable<readonly [string, T]>): ReadonlyMap<string, T> {
  const copy = new Map(map)
  for (const [key, value] of entries) if (copy.size < MOST_NAMES || copy.has(key)) copy.set(key, value)
  return copy
}

/** What to call the state of a machine: one that vanished without a goodbye is `gone`. */
export function machineState({ phase, isThere }: FleetMachine): string {
  return isThere === false && phase !== 'stopped' ? 'gone' : phase
}
