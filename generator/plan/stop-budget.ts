import type { PlannedService, StopBudget } from '../../schema/plan.ts'
import type { Finding } from '../services/service-type.ts'
import { formatDuration } from './quantities.ts'

/** The farewell, the loggers and PID 1's own work after the last service, measured below 0.3 s. */
export const STOP_OVERHEAD_MS = 1000

interface Chain {
  readonly services: readonly PlannedService[]
  readonly totalMs: number
}

const NO_CHAIN: Chain = { services: [], totalMs: 0 }

const longer = (a: Chain, b: Chain): Chain => (b.totalMs > a.totalMs ? b : a)

const before = (service: PlannedService, { services, totalMs }: Chain): Chain => ({
  services: [service, ...services],
  totalMs: service.stop.timeoutMs + totalMs,
})

/** The chain of services whose stop timeouts add up to the most: what a stop takes when every service on it hangs. */
export function planStopBudget(services: readonly PlannedService[], stopGracePeriodMs: number): StopBudget {
  const byName = new Map(services.map((service) => [service.name, service]))
  const longest = new Map<string, Chain>()
  const chainFrom = (service: PlannedService): Chain => {
    const known = longest.get(service.name)
    if (known !== undefined) return known
    // Stands in for itself on a cycle, which is a finding of its own.
    longest.set(service.name, before(service, NO_CHAIN))
    let rest = NO_CHAIN
    for (const name of service.stopsBefore) {
      const next = byName.get(name)
      if (next !== undefined) rest = longer(rest, chainFrom(next))
    }
    const chain = before(service, rest)
    longest.set(service.name, chain)
    return chain
  }
  const chain = services.map(chainFrom).reduce(longer, NO_CHAIN)
  return {
    chain: chain.services.map((service) => ({ service: service.name, timeoutMs: service.stop.timeoutMs })),
    totalMs: chain.totalMs + STOP_OVERHEAD_MS,
    stopGracePeriodMs,
  }
}

/** Refuses a machine that its engine would kill in the middle of a stop. */
export function checkStopBudget(
  budget: StopBudget,
  services: readonly PlannedService[],
  report: (finding: Finding) => void,
): void {
  if (budget.totalMs <= budget.stopGracePeriodMs) return
  const keyOf = (name: string) => services.find((service) => service.name === name)?.key ?? name
  const chain = budget.chain.map(({ service, timeoutMs }) => `${service} ${formatDuration(timeoutMs)}`).join(', then ')
  const seconds = Math.ceil(budget.totalMs / 1000)
  report({
    code: 'STOP_CHAIN_TOO_LONG',
    severity: 'error',
    pointer: '/machine/stopGracePeriod',
    message: `cannot stop the machine in ${formatDuration(budget.stopGracePeriodMs)}: its longest chain needs up to ${formatDuration(budget.totalMs)}: ${chain}, and ${formatDuration(STOP_OVERHEAD_MS)} for the machine itself`,
    hint: `set machine.stopGracePeriod to "${seconds}s" (and the engine's stop timeout with it), or shorten a stop.timeout`,
    related: budget.chain.map(({ service, timeoutMs }) => ({
      pointer: keyOf(service) === 'sidecar' ? '/sidecar/stop/timeout' : `/services/${keyOf(service)}/stop/timeout`,
      message: `"${service}" gets ${formatDuration(timeoutMs)}`,
    })),
  })
}
