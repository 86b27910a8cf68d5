import type { Plan, PlannedService } from '../../schema/plan.ts'
import type { ServiceObservation } from '../shared/observe-service.ts'
import { askSidecar, type SidecarAnswer } from './ask-sidecar.ts'
import {
  describeService,
  observeServices,
  type ProbeFindings,
  readKeptFacts,
  type ServiceFacts,
} from './service-facts.ts'

export interface MachineFacts {
  readonly sidecar: SidecarAnswer
  readonly services: readonly ServiceFacts[]
}

/** How services are now: from their supervisors, with what the sidecar knows, or with probes from here while it is silent. */
export async function readMachine(plan: Plan, services: readonly PlannedService[]): Promise<MachineFacts> {
  const observations = observeServices(plan, services)
  const sidecar = await askSidecar(plan)
  const probes = sidecar.kind === 'answer' ? new Map() : await probeServices(services, observations)
  const nowMs = Date.now()
  const facts = services.map((service, index) =>
    describeService(service, observations[index]!, {
      sidecar,
      probes,
      kept: sidecar.kind === 'answer' ? null : readKeptFacts(plan, service.name),
      nowMs,
    }),
  )
  return { sidecar, services: facts }
}

const PROBE_TIMEOUT_MS = 300

/** Asks those services that run whether they work; what cannot be asked is not in the findings. */
export async function probeServices(
  services: readonly PlannedService[],
  observations: readonly ServiceObservation[],
): Promise<ProbeFindings> {
  const { probe } = await import('../sidecar/probes/probe.ts')
  const { createHttpAsk } = await import('../sidecar/probes/http-ask.ts')
  const http = createHttpAsk()
  const found = await Promise.all(
    services.map(async (service, index) => {
      const { status, waiting } = observations[index]!
      if (service.type === 'sidecar') return [service.name, { ok: false, problem: 'it does not answer' }] as const
      if (!status?.up || waiting !== null || service.probe === null || service.probe.kind === 'task') return null
      if (service.probe.kind === 'uptime') {
        const ok = Date.now() - status.changedAtMs >= service.probe.graceMs
        return [service.name, { ok, problem: null }] as const
      }
      const liveness = { ...service.liveness, timeoutMs: PROBE_TIMEOUT_MS }
      const outcome = await probe({ ...service, liveness }, http.ask)
      return [service.name, { ok: outcome.ok, problem: outcome.ok ? null : outcome.problem }] as const
    }),
  )
  return new Map(found.filter((one) => one !== null))
}
