import type { EventProgress, MachineEvent, WorkerState } from '../../shared/machine-event.ts'

export type MachinePhase = 'starting' | 'ready' | 'degraded' | 'stopping' | 'stopped'

/** What was said of a service so far in this boot. */
export interface ToldService {
  /** The run that was said to have started and not to have ended. */
  readonly run: string | null
  readonly ready: boolean
  /** Deaths in this boot that were told. */
  readonly deaths: number
  readonly gaveUp: boolean
  /** How its last run ended: by itself or to come back at once, or to stay down; `null` before the first run. */
  readonly ended: 'comes-back' | 'stays-down' | null
}

export interface ToldWorker {
  readonly state: WorkerState
  readonly atMs: number
}

export interface ToldTask {
  readonly isRunning: boolean
  readonly progress: EventProgress | null
}

/**
 * All that was said in this boot: what happens next is an event only where it differs. It follows from the events alone, so
 * that a sidecar that was killed goes on where it stopped and says nothing twice.
 */
export interface Told {
  readonly started: boolean
  readonly phase: MachinePhase
  readonly healthy: boolean
  readonly services: ReadonlyMap<string, ToldService>
  readonly workers: ReadonlyMap<string, ToldWorker>
  readonly tasks: ReadonlyMap<string, ToldTask>
  readonly alarms: ReadonlySet<string>
  /** Kills for want of memory that were told. */
  readonly oomKills: number
  readonly digestAtMs: number
}

export const NOTHING_TOLD: Told = {
  started: false,
  phase: 'starting',
  healthy: false,
  services: new Map(),
  workers: new Map(),
  tasks: new Map(),
  alarms: new Set(),
  oomKills: 0,
  digestAtMs: 0,
}

export const UNTOLD_SERVICE: ToldService = { run: null, ready: false, deaths: 0, gaveUp: false, ended: null }

/** What is told once this event is. */
export function tell(told: Told, event: MachineEvent): Told {
  const [subject] = event.type.split('.', 1)
  if (subject === 'machine') return tellMachine(told, event)
  if (subject === 'service') return tellService(told, event)
  if (subject === 'worker') return tellWorker(told, event)
  if (subject === 'provision') return tellTask(told, event)
  if (event.type === 'health.changed') return { ...told, healthy: event.status === 'healthy' }
  if (event.type === 'health.digest') return tellDigest(told, event)
  return told
}

const PHASES: Partial<Record<MachineEvent['type'], MachinePhase>> = {
  'machine.ready': 'ready',
  'machine.degraded': 'degraded',
  'machine.stopping': 'stopping',
  'machine.stopped': 'stopped',
}

function tellMachine(told: Told, { type, status, at, context = {} }: MachineEvent): Told {
  if (type === 'machine.started') return { ...NOTHING_TOLD, started: true, digestAtMs: Date.parse(at) }
  if (type !== 'machine.alarm') return { ...told, phase: PHASES[type] ?? told.phase }
  if (typeof context.oomKills === 'number') return { ...told, oomKills: context.oomKills }
  const alarms = new Set(told.alarms)
  if (status === 'raised') alarms.add(String(context.alarm))
  else alarms.delete(String(context.alarm))
  return { ...told, alarms }
}

/** In these states a service that has ended is not on its way back. */
const STAYS_DOWN = new Set(['down', 'stopping', 'failed', 'done'])

function tellService(told: Told, { type, service = '', status = '', context = {} }: MachineEvent): Told {
  const before = told.services.get(service) ?? UNTOLD_SERVICE
  const deaths = typeof context.deaths === 'number' ? context.deaths : before.deaths
  const ended = STAYS_DOWN.has(status) ? 'stays-down' : 'comes-back'
  const changes: Partial<Record<MachineEvent['type'], Partial<ToldService>>> = {
    'service.started': { run: String(context.run), ready: false, gaveUp: false },
    'service.restarted': { run: String(context.run), ready: false, gaveUp: false },
    'service.ready': status === 'done' ? { ready: true, run: null, ended: 'stays-down' } : { ready: true },
    'service.unready': { ready: false },
    'service.failed': { run: null, ready: false, ended },
    'service.stopped': { run: null, ready: false, ended },
    'service.gave-up': { gaveUp: true, run: null, ready: false },
  }
  return { ...told, services: new Map(told.services).set(service, { ...before, deaths, ...changes[type] }) }
}

function tellWorker(told: Told, { worker = '', status, at }: MachineEvent): Told {
  const state = status as WorkerState
  return { ...told, workers: new Map(told.workers).set(worker, { state, atMs: Date.parse(at) }) }
}

function tellTask(told: Told, { type, service = '', progress }: MachineEvent): Told {
  const before = told.tasks.get(service)
  const changes: Partial<Record<MachineEvent['type'], ToldTask>> = {
    'provision.started': { isRunning: true, progress: null },
    'provision.progress': { isRunning: true, progress: progress ?? null },
    'provision.done': { isRunning: false, progress: null },
    'provision.failed': { isRunning: false, progress: null },
  }
  const task = changes[type] ?? before
  return task === undefined ? told : { ...told, tasks: new Map(told.tasks).set(service, task) }
}

/** What a digest repeats of all that was told, so that nobody has to read further back than to the last one. */
export interface DigestContext {
  readonly phase: MachinePhase
  readonly services: Readonly<Record<string, ToldService & { readonly state: string; readonly restarts: number }>>
  readonly workers: Readonly<Record<string, WorkerState>>
  readonly alarms: readonly string[]
  readonly oomKills: number
}

function tellDigest(told: Told, { at, status, context }: MachineEvent): Told {
  const atMs = Date.parse(at)
  const { phase, services, workers, alarms, oomKills } = context as unknown as DigestContext
  if (services === undefined) return { ...told, digestAtMs: atMs }
  const toldServices = Object.entries(services).map(([name, { run, ready, deaths, gaveUp, ended }]) => {
    return [name, { run, ready, deaths, gaveUp, ended }] as const
  })
  return {
    ...told,
    started: true,
    phase,
    healthy: status === 'healthy',
    services: new Map(toldServices),
    workers: new Map(Object.entries(workers).map(([id, state]) => [id, { state, atMs }])),
    alarms: new Set(alarms),
    oomKills,
    digestAtMs: atMs,
  }
}
