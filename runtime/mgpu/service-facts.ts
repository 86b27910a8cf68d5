import { readFileSync } from 'node:fs'
import type { Plan, PlannedService } from '../../schema/plan.ts'
import { createObserver, type ServiceObservation } from '../shared/observe-service.ts'
import { deriveState, type StateName } from '../shared/service-state.ts'
import type { SidecarAnswer, SidecarService } from './ask-sidecar.ts'

/** A service as this program shows it. */
export interface ServiceFacts {
  readonly service: PlannedService
  readonly observation: ServiceObservation
  readonly state: StateName
  readonly reason: string | null
  /** Others may count on it: ready, or a task that is done. */
  readonly ready: boolean
  readonly pid: number | null
  readonly uptimeMs: number | null
  readonly restarts: number
  /** What the sidecar says of the same run; `null` where it is silent, or speaks of another one. */
  readonly sidecar: SidecarService | null
}

/** Whether a service works, as it was found from here; `null`: there is no saying. */
export type ProbeFindings = ReadonlyMap<string, { readonly ok: boolean; readonly problem: string | null }>

export type ObservedPlan = Pick<Plan, 'services' | 'paths'>

/** Reads the supervisors' files of services. Throws where this user may not. */
export function observeServices(
  { paths }: Pick<Plan, 'paths'>,
  services: readonly PlannedService[],
): readonly ServiceObservation[] {
  try {
    return services.map(({ name }) => createObserver(paths, name)())
  } catch (error) {
    throw readableError(error as NodeJS.ErrnoException, paths.services)
  }
}

function readableError(error: NodeJS.ErrnoException, directory: string): Error {
  if (error.code !== 'EACCES' && error.code !== 'EPERM') return error
  return new Error(
    `cannot read the supervisors in "${directory}": permission denied; run this as the user of the machine`,
  )
}

/** What is known of a service, from its files, from the sidecar or else from a probe of one's own. Pure. */
export function describeService(
  service: PlannedService,
  observation: ServiceObservation,
  { sidecar, probes, kept, nowMs }: Knowledge,
): ServiceFacts {
  const { status, gateOpenedAtMs, allDeaths } = observation
  const running = observation.supervised && status?.up ? status : null
  const said = sidecar.kind === 'answer' ? (sidecar.status.services[service.name] ?? null) : null
  const isSameRun = said !== null && said.pid === (running?.pid ?? null)
  const probe = probes.get(service.name) ?? null
  const isOpen = gateOpenedAtMs !== null
  const derived = deriveState(service, observation, {
    ready: probe?.ok ?? isOpen,
    wasReady: isOpen,
    problem: probe?.problem ?? null,
  })
  const { state, reason } = isSameRun ? said : { ...derived, reason: derived.reason ?? keptReason(kept, derived.state) }
  return {
    service,
    observation,
    state,
    reason,
    ready: state === 'ready' || state === 'done',
    pid: running?.pid ?? null,
    uptimeMs: running === null ? null : Math.max(0, Math.round(nowMs - running.changedAtMs)),
    restarts:
      said?.restarts ??
      countRestarts(
        kept,
        allDeaths.map(({ id }) => id),
        running !== null,
      ),
    sidecar: isSameRun ? said : null,
  }
}

export interface Knowledge {
  readonly sidecar: SidecarAnswer
  readonly probes: ProbeFindings
  /** What the last sidecar of this boot noted of it. */
  readonly kept: KeptFacts | null
  readonly nowMs: number
}

export interface KeptFacts {
  readonly state?: string
  readonly reason?: string | null
  readonly history?: { readonly restarts?: number; readonly accounted?: string | null }
}

/** What the last sidecar noted of a service in the run directory; `null` where there is nothing, or no right to read it. */
export function readKeptFacts({ paths }: Pick<Plan, 'paths'>, name: string): KeptFacts | null {
  try {
    const text = readFileSync(`${paths.run}/sidecar/services/${name}.json`, 'utf8')
    return (JSON.parse(text) as { readonly record?: KeptFacts }).record ?? null
  } catch {
    return null
  }
}

/** Who stopped it, as long as it is still stopped. */
function keptReason(kept: KeptFacts | null, state: StateName): string | null {
  return kept?.state === state && state === 'down' ? (kept.reason ?? null) : null
}

/** The count of the last sidecar, and the deaths that it has not seen. */
function countRestarts(kept: KeptFacts | null, deaths: readonly string[], isUp: boolean): number {
  const counted = kept?.history?.restarts
  if (counted === undefined) return Math.max(0, deaths.length - (isUp ? 0 : 1))
  return counted + deaths.length - 1 - deaths.lastIndexOf(kept?.history?.accounted ?? '')
}
