import type { PlannedService } from '../../schema/plan.ts'
import { countedDeaths, wasRequested } from './death-tally.ts'
import type { ServiceObservation } from './observe-service.ts'
import { describeExit } from './process-exit.ts'

/**
 * - `down`: it does not run and is not to run: an operator stopped it, or nothing has started it yet
 * - `waiting`: its `run` waits for a gate or the end of a pause, or s6 is about to start it again
 * - `starting`: it runs and is not ready yet; a task that runs is starting too
 * - `ready`, `unready`: its probe succeeds; it did and no longer does
 * - `stopping`: it was told to stay down and is not yet
 * - `failed`: it was given up, or is a task that failed: nobody starts it again
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

type Judged = Pick<PlannedService, 'kind' | 'restart' | 'type' | 'stop'>

/** The state of a service by what its files and its probe say. */
export function deriveState(service: Judged, observation: ServiceObservation, readiness: Readiness): ServiceState {
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

function deriveDown(service: Judged, observation: ServiceObservation): ServiceState {
  const { status, deaths, allDeaths, gateOpenedAtMs } = observation
  const last = deaths.at(-1) ?? allDeaths.at(-1)
  if (status?.wantUp) {
    const reason = last === undefined ? 's6 starts it' : `s6 starts it again after ${describeExit(last.exit)}`
    return { state: 'waiting', reason }
  }
  if (service.kind === 'task' && gateOpenedAtMs !== null) return { state: 'done', reason: null }
  const failure = failureOf(service, observation)
  return failure === null ? { state: 'down', reason: null } : { state: 'failed', reason: failure }
}

/** Why it was given up, by the sidecar's word or by its deaths, or how a task failed; `null` where neither is so. */
function failureOf(service: Judged, { deaths, givenUp }: ServiceObservation): string | null {
  if (givenUp !== null && givenUp !== '') return givenUp
  const last = deaths.at(-1)
  if (givenUp !== null) {
    const lastEnd = last === undefined ? '' : `, the last time by ${describeExit(last.exit)}`
    return `it died ${describeCount(countedDeaths(deaths, service).length)}${describeWindow(service)}${lastEnd}`
  }
  const hasFailed = service.kind === 'task' && last !== undefined && !wasRequested(last.exit, service)
  return hasFailed ? `it ended by ${describeExit(last.exit)}` : null
}

function describeCount(count: number): string {
  if (count === 0) return 'too often'
  return count === 1 ? 'once' : `${count} times`
}

const describeWindow = ({ restart }: Judged): string => (restart === null ? '' : ` within ${restart.windowMs / 1000} s`)
