import type { Plan } from '../../../schema/plan.ts'
import { isSatisfied, type MachineState, type ServiceRecord } from '../machine-state.ts'
import type { SidecarView } from '../view.ts'
import type { Workload } from './workload.ts'

/** Something that a service needs, and how it is. */
export interface DependencyHealth {
  /** A service, `redis`, or a model of Ollama. */
  readonly name: string
  readonly kind: 'service' | 'redis' | 'model'
  /** `null` where it cannot be known now. */
  readonly healthy: boolean | null
  /** Why it is not healthy, or not known. */
  readonly reason: string | null
}

/** What is known beside the state of the services. */
export interface Surroundings {
  readonly workloadOf: (service: string) => Workload | null
  /** The connection of the sidecar; `null` where it has none, or none yet. */
  readonly redis: { readonly connected: boolean; readonly problem: string | null } | null
}

/** All that a service needs: the services whose gates it waits for, Redis for a worker, its models for Ollama. */
export function dependenciesOf(
  plan: Pick<Plan, 'redis' | 'provisioning'>,
  machine: MachineState,
  service: string,
  { workloadOf, redis }: Surroundings,
): readonly DependencyHealth[] {
  const record = machine.services.get(service)
  if (record === undefined) return []
  const { type, waitsFor, name } = record.service
  return [
    ...waitsFor.map((other) => serviceHealth(other, machine.services.get(other))),
    ...(type === 'redis-worker' ? [redisHealth(plan.redis.urlSecret !== null, redis)] : []),
    ...(type === 'ollama' ? plan.provisioning.ollamaModels.map((model) => modelHealth(model, workloadOf(name))) : []),
  ]
}

/** The same, from the view of the sidecar. */
export function dependenciesInView(view: SidecarView, service: string): readonly DependencyHealth[] {
  return dependenciesOf(view.plan, view.machine(), service, { workloadOf: view.workload, redis: view.outbox() })
}

function serviceHealth(name: string, record: ServiceRecord | undefined): DependencyHealth {
  if (record === undefined) return { name, kind: 'service', healthy: false, reason: 'the machine has no such service' }
  if (isSatisfied(record)) return { name, kind: 'service', healthy: true, reason: null }
  const why = record.reason === null ? '' : `: ${record.reason}`
  return { name, kind: 'service', healthy: false, reason: `it is ${record.state}${why}` }
}

function redisHealth(hasUrl: boolean, redis: Surroundings['redis']): DependencyHealth {
  const about = { name: 'redis', kind: 'redis' } as const
  if (!hasUrl) return { ...about, healthy: false, reason: 'the machine file names no Redis' }
  if (redis === null) return { ...about, healthy: null, reason: 'the sidecar has no connection to it' }
  if (redis.connected) return { ...about, healthy: true, reason: null }
  return { ...about, healthy: false, reason: redis.problem ?? 'it cannot be reached' }
}

function modelHealth(model: string, workload: Workload | null): DependencyHealth {
  const available = workload?.modelsAvailable ?? null
  const about = { name: model, kind: 'model' } as const
  if (available === null) return { ...about, healthy: null, reason: 'Ollama has not said yet which models it has' }
  if (available.some((other) => fullName(other) === fullName(model))) return { ...about, healthy: true, reason: null }
  return { ...about, healthy: false, reason: 'Ollama does not have it' }
}

/** Ollama takes a name without a tag for `latest`, and shows names in lower case where they are of its own library. */
function fullName(model: string): string {
  const withTag = model.lastIndexOf(':') > model.lastIndexOf('/') ? model : `${model}:latest`
  return withTag.toLowerCase()
}
