import type { Plan, PlannedService } from '../../schema/plan.ts'
import {
  createObserver,
  type ServiceObservation,
  serviceDirectory,
  waitingDirectory,
} from '../shared/observe-service.ts'
import type { ProcessExit } from '../shared/process-exit.ts'
import { deriveState, type ServiceState } from '../shared/service-state.ts'
import { watchDirectories } from '../shared/watch-directories.ts'

/** A service as the boot table shows it. Times are ms since 1970. */
export interface Progress extends ServiceState {
  readonly service: PlannedService
  readonly sinceMs: number
  /** From its launch to its readiness; `null` until it was ready. */
  readonly startupMs: number | null
  readonly launchedAtMs: number
  readonly deaths: number
  /** How it ended the last time. */
  readonly lastExit: ProcessExit | null
}

export interface ProgressFollower {
  readonly current: () => readonly Progress[]
  readonly close: () => void
}

/** Follows all services by their files alone: it works while the sidecar is down or starts again. */
export function followProgress(
  plan: Plan,
  onChange: (before: Progress, after: Progress, all: readonly Progress[]) => void,
): ProgressFollower {
  const observers = plan.services.map(({ name }) => createObserver(plan.paths, name))
  const current = plan.services.map((service) => initialProgress(service, Date.now()))

  const look = () => {
    for (const [index, before] of current.entries()) {
      const after = advance(before, observers[index]!(), Date.now())
      current[index] = after
      if (after.state !== before.state || after.reason !== before.reason || after.deaths !== before.deaths)
        onChange(before, after, [...current])
    }
  }

  const paths = plan.services.map(({ name }) => `${serviceDirectory(plan.paths, name)}/supervise`)
  const directories = [...paths, plan.paths.gates, waitingDirectory(plan.paths)]
  const watch = watchDirectories({ directories: new Map(directories.map((path) => [path, look])), onSweep: look })
  return { current: () => current, close: watch.close }
}

export function initialProgress(service: PlannedService, nowMs: number): Progress {
  return {
    service,
    state: 'down',
    reason: null,
    sinceMs: nowMs,
    startupMs: null,
    launchedAtMs: nowMs,
    deaths: 0,
    lastExit: null,
  }
}

/** The next state of a service by what its files say; the gate stands for the sidecar's verdict. */
export function advance(before: Progress, observation: ServiceObservation, nowMs: number): Progress {
  const { status, gateOpenedAtMs, deaths } = observation
  const isNewRun = status === null || status.changedAtMs > before.sinceMs + 1
  const readiness = {
    ready: gateOpenedAtMs !== null,
    wasReady: !isNewRun && (before.state === 'ready' || before.state === 'unready'),
    problem: null,
  }
  const { state, reason } = deriveState(before.service, observation, readiness)
  const changed = state !== before.state
  const isLaunch = changed && state === 'starting'
  const launchedAtMs = isLaunch ? nowMs : before.launchedAtMs
  const isReadyNow = changed && (state === 'ready' || state === 'done')
  return {
    service: before.service,
    state,
    reason,
    sinceMs: changed ? nowMs : before.sinceMs,
    launchedAtMs,
    startupMs: isReadyNow ? nowMs - launchedAtMs : before.startupMs,
    deaths: deaths.length,
    lastExit: deaths.at(-1)?.exit ?? null,
  }
}

/** Everything is as the machine file wants it. */
export function isAllReady(progress: readonly Progress[]): boolean {
  return progress.every(({ state }) => state === 'ready' || state === 'done')
}
