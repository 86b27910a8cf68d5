import type { PlannedService } from '../../schema/plan.ts'
import { countedDeaths } from './death-tally.ts'
import type { ServiceObservation } from './observe-service.ts'
import { describeExit } from './process-exit.ts'

/**
 * - `down`: it does not run and is not to run: an operator stopped it, or nothing has started it yet
 * - `waiting`: its `run` waits for a gate or the end of a pause, or s6 is about to start it again
 * - `starting`: it runs and is not ready yet; a task that runs is starting too
 * - `ready`, `unready`: its probe succeeds; it did and no longer does
 * - `stopping`: it was told to stay down and is not yet
 * - `failed`: it was given up, nobody starts it again
 * - `done`: a task that has succeeded
 */
export const STATES = ['down', 'waiting', 'starting', 'ready', 'unready', 'stopping', 'failed', 'done'] as const

export type StateName = (typeof STATES)[number]

export interface ServiceState {
  readonly state: StateName
  /** Why, in words, where the state does not say it all. */
  readonly reason: string | null
}

export interface Readiness {
  readonly ready: boolean
  /** This run of it has been ready before. */
  readonly wasReady: boolean
  /** What its last probe found wrong. */
  readonly problem: string | null
}

/** The state of a service by what its files and its probe say. */
export function deriveState(
  service: Pick<PlannedService, 'kind' | 'restart' | 'type'>,
  observation: ServiceObservation,
  readiness: Readiness,
): ServiceState {
  const { supervised, status, waiting } = observation
  if (!supervised || status === null) return { state: 'down', reason: 'no supervisor looks after it' }
  if (!status.up) return status.pid === 0 ? deriveDown(service, observation) : deriveFinishing(status.wantUp)
  if (!status.wantUp) return { state: 'stopping', reason: null }
  if (waiting !== null) return { state: 'waiting', reason: waiting }
  if (readiness.ready) return { state: 'ready', reason: null }
  return { state: readiness.wasReady ? 'unready' : 'starting', reason: readiness.problem }
}

function deriveFinishing(wantUp: boolean): ServiceState {
  return wantUp ? { state: 'waiting', reason: 'its last run is cleaned up' } : { state: 'stopping', reason: null }
}

function deriveDown(
  service: Pick<PlannedService, 'kind' | 'restart' | 'type'>,
  { status, deaths, gateOpenedAtMs }: ServiceObservation,
): ServiceState {
  const last = deaths.at(-1)
  const lastEnd = last === undefined ? null : describeExit(last.exit)
  if (status?.wantUp) {
    return { state: 'waiting', reason: lastEnd === null ? 's6 starts it' : `s6 starts it again after ${lastEnd}` }
  }
  if (service.kind === 'task' && gateOpenedAtMs !== null) return { state: 'done', reason: null }
  if (service.restart === null || lastEnd === null) return { state: 'down', reason: null }
  const { maxAttempts, windowMs } = service.restart
  const counted = countedDeaths(deaths, windowMs, service.type === 'custom').length
  if (counted < maxAttempts) return { state: 'down', reason: null }
  const times = counted === 1 ? 'once' : `${counted} times`
  return { state: 'failed', reason: `it died ${times} within ${windowMs / 1000} s, the last time by ${lastEnd}` }
}
