import type { PlannedService } from '../../schema/plan.ts'
import type { StateName } from './service-state.ts'

/**
 * - `absent`: this machine has nothing of it
 * - `waiting`: none of it has begun
 * - `running`: some of it has
 * - `done`: all of it got where it should
 * - `failed`: something of it was given up, and the rest is not on its way
 */
export type PhaseState = 'absent' | 'waiting' | 'running' | 'done' | 'failed'

/** A step of a boot. Times are ms since 1970, `null` where nobody knows them (yet). */
export interface BootPhase {
  readonly name: string
  readonly state: PhaseState
  /** Services that it is about. */
  readonly services: readonly string[]
  readonly done: number
  readonly total: number
  readonly startedAtMs: number | null
  readonly endedAtMs: number | null
  readonly tookMs: number | null
  /** What hinders it, in the words of the first service that says something. */
  readonly reason: string | null
}

/** A phase as the API and reports show it: times are ISO 8601, UTC. */
export type DescribedPhase = Omit<BootPhase, 'startedAtMs' | 'endedAtMs'> & {
  readonly startedAt: string | null
  readonly endedAt: string | null
}

export function describePhase({ startedAtMs, endedAtMs, ...phase }: BootPhase): DescribedPhase {
  const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
  return { ...phase, startedAt: time(startedAtMs), endedAt: time(endedAtMs) }
}

/** What phases are made of: a service as it is now. */
export interface PhaseSubject {
  readonly service: Pick<PlannedService, 'name' | 'type' | 'kind'>
  readonly state: StateName
  readonly reason: string | null
  /** When it was launched, which for a task is when it began. */
  readonly launchedAtMs: number | null
  /** When it was ready, or a task done. */
  readonly readyAtMs: number | null
}

/** What a phase is over with: something runs at all, all of it is launched, all of it is ready. */
type Goal = 'begun' | 'launched' | 'ready'

interface PhaseKind {
  readonly name: string
  readonly goal: Goal
  readonly isAbout: (service: PhaseSubject['service']) => boolean
}

const ofType =
  (...types: PlannedService['type'][]) =>
  ({ type }: PhaseSubject['service']) =>
    types.includes(type)
const named =
  (...names: string[]) =>
  ({ name, type }: PhaseSubject['service']) =>
    type === 'provision' && names.includes(name)

/** In the order in which the first machines did one after the other; here those that can go at the same time do. */
const PHASES: readonly PhaseKind[] = [
  { name: 'sidecar', goal: 'ready', isAbout: ofType('sidecar') },
  { name: 'setup', goal: 'begun', isAbout: ({ type }) => type !== 'sidecar' },
  { name: 'ssh', goal: 'ready', isAbout: (service) => service.type === 'sshd' || named('ssh-access')(service) },
  { name: 'custom-nodes', goal: 'ready', isAbout: named('custom-nodes') },
  { name: 'workflows', goal: 'ready', isAbout: named('workflows', 'workflows-sync') },
  { name: 'models', goal: 'ready', isAbout: named('models') },
  { name: 'models-background', goal: 'ready', isAbout: named('models-background') },
  { name: 'worker-package', goal: 'ready', isAbout: named('worker-package') },
  { name: 'nginx', goal: 'ready', isAbout: ofType('nginx') },
  { name: 'comfyui-start', goal: 'launched', isAbout: ofType('comfyui') },
  { name: 'comfyui', goal: 'ready', isAbout: ofType('comfyui') },
  { name: 'automatic1111-start', goal: 'launched', isAbout: ofType('automatic1111') },
  { name: 'automatic1111', goal: 'ready', isAbout: ofType('automatic1111') },
  { name: 'ollama', goal: 'ready', isAbout: ofType('ollama') },
  { name: 'ollama-models', goal: 'ready', isAbout: named('ollama-models') },
  { name: 'workers-start', goal: 'launched', isAbout: ofType('redis-worker') },
  { name: 'workers', goal: 'ready', isAbout: ofType('redis-worker') },
  { name: 'services', goal: 'ready', isAbout: ofType('custom') },
  { name: 'verify', goal: 'ready', isAbout: named('verify') },
]

export const PHASE_NAMES: readonly string[] = PHASES.map(({ name }) => name)

/** The phases of a boot by the states of its services: all of them, in the same order on every machine. Pure. */
export function bootPhases(
  subjects: readonly PhaseSubject[],
  bootStartedAtMs: number | null = null,
): readonly BootPhase[] {
  return PHASES.map((kind) =>
    derivePhase(
      kind,
      subjects.filter(({ service }) => kind.isAbout(service)),
      bootStartedAtMs,
    ),
  )
}

function derivePhase(
  { name, goal }: PhaseKind,
  subjects: readonly PhaseSubject[],
  bootStartedAtMs: number | null,
): BootPhase {
  const done = subjects.filter((subject) => hasReached(subject, goal))
  const isDone = subjects.length > 0 && (goal === 'begun' ? done.length > 0 : done.length === subjects.length)
  const state = isDone ? 'done' : stateOf(subjects)
  const begins = goal === 'begun' ? [bootStartedAtMs] : subjects.map(({ launchedAtMs }) => launchedAtMs)
  const launches = subjects.length === 0 ? [] : times(begins)
  const ends = isDone ? times(done.map((subject) => endOf(subject, goal))) : []
  const startedAtMs = launches.length === 0 ? null : Math.min(...launches)
  const endedAtMs = ends.length === 0 ? null : goal === 'begun' ? Math.min(...ends) : Math.max(...ends)
  return {
    name,
    state,
    services: goal === 'begun' ? [] : subjects.map(({ service }) => service.name),
    done: goal === 'begun' ? Number(isDone) : done.length,
    total: goal === 'begun' ? Math.min(1, subjects.length) : subjects.length,
    startedAtMs,
    endedAtMs,
    tookMs: startedAtMs === null || endedAtMs === null ? null : Math.max(0, Math.round(endedAtMs - startedAtMs)),
    reason: isDone || goal === 'begun' ? null : (subjects.find(isHindered)?.reason ?? null),
  }
}

const BEGUN = new Set<StateName>(['starting', 'ready', 'unready', 'done', 'failed', 'stopping'])

function hasReached({ state, launchedAtMs }: PhaseSubject, goal: Goal): boolean {
  if (goal === 'begun') return BEGUN.has(state) || state === 'waiting'
  if (goal === 'launched') return launchedAtMs !== null || state === 'ready'
  return state === 'ready' || state === 'done'
}

function endOf({ launchedAtMs, readyAtMs }: PhaseSubject, goal: Goal): number | null {
  return goal === 'ready' ? readyAtMs : launchedAtMs
}

function stateOf(subjects: readonly PhaseSubject[]): PhaseState {
  if (subjects.length === 0) return 'absent'
  const unreached = subjects.filter(({ state }) => state !== 'ready' && state !== 'done')
  if (unreached.some(({ state }) => state === 'starting' || state === 'unready')) return 'running'
  if (unreached.some(({ state }) => state === 'waiting')) {
    return unreached.length < subjects.length ? 'running' : 'waiting'
  }
  return unreached.some(({ state }) => state === 'failed') ? 'failed' : 'waiting'
}

const isHindered = ({ state, reason }: PhaseSubject): boolean =>
  reason !== null && state !== 'ready' && state !== 'done'

const times = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null)
