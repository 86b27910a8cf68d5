import { setTimeout as delay } from 'node:timers/promises'
import type { Plan } from '../../../schema/plan.ts'
import type { DescribedPhase } from '../../shared/boot-phases.ts'
import type { StateName } from '../../shared/service-state.ts'
import { ask, jsonOf } from './ask.ts'

/** What the verification reads of the sidecar's `/status`. */
export interface MachineStatus {
  readonly bootId: string
  readonly healthy: boolean
  readonly state: string
  readonly degraded: readonly Shortfall[]
  readonly unhealthy: readonly Shortfall[]
  readonly stopped: readonly string[]
  readonly services: Readonly<Record<string, ServiceStatus>>
  readonly boots: readonly { readonly id: string; readonly startedAt: string; readonly readyAfterMs: number | null }[]
  readonly phases: readonly DescribedPhase[]
}

export interface Shortfall {
  readonly service: string
  readonly reason: string
}

export interface ServiceStatus {
  readonly state: StateName
  readonly ready: boolean
  readonly reason: string | null
}

const POLL_MS = 500

/** A state that has lasted for this long is not one on the way to another. */
const CALM_POLLS = 2

/** Where nothing changes any more by itself: it works, it is over, or somebody wants it so. */
const SETTLED = new Set<StateName>(['ready', 'done', 'failed', 'down'])

/**
 * The status of the machine once all that it needs has settled, or as it is when the time is up. `null`: no sidecar has
 * answered at all. Tasks that the machine does without are not waited for: what they fetch may take hours.
 */
export async function settledStatus(
  { sidecar, services }: Pick<Plan, 'sidecar' | 'services'>,
  self: string,
  timeoutMs: number,
): Promise<{ readonly status: MachineStatus; readonly isSettled: boolean } | null> {
  const awaited = services.filter(({ name, kind, optional }) => name !== self && !(kind === 'task' && optional))
  const deadlineMs = performance.now() + timeoutMs
  let last: MachineStatus | null = null
  let calm = 0
  for (;;) {
    const status = await readStatus(sidecar)
    last = status ?? last
    const isCalm =
      status !== null && awaited.every(({ name }) => SETTLED.has(status.services[name]?.state ?? 'waiting'))
    calm = isCalm ? calm + 1 : 0
    if (last !== null && calm >= CALM_POLLS) return { status: last, isSettled: true }
    if (performance.now() > deadlineMs) return last === null ? null : { status: last, isSettled: false }
    await delay(POLL_MS)
  }
}

/** `null` while the sidecar does not answer: it may be starting, too. */
export async function readStatus(place: Plan['sidecar']): Promise<MachineStatus | null> {
  try {
    return jsonOf(await ask(place, '/status')) as unknown as MachineStatus
  } catch {
    return null
  }
}
