import type { PlannedService, StopBudget } from '../../schema/plan.ts'
import type { Finding } from '../services/service-type.ts'
import { formatDuration } from './quantities.ts'

/** The farewell, the loggers and PID 1's own work after the last service, measured below 0.3 s. */
export const STOP_OVERHEAD_MS = 1000

/** The chain of services whose stop timeouts add up to the most: what a stop takes when every service on it hangs. */
export function planStopBudget(services: readonly PlannedService[], stopGracePeriodMs: number): StopBudget {
  const byName = new Map(services.map((service) => [service.name, service]))
  const longest = new Map<string, PlannedService[]>()
  const chainFrom = (service: PlannedService): PlannedService[] => {
    const known = longest.get(service.name)
    if (known !== undefined) return known
    // Stands in for itself on a cycle, which is a finding of its own.
    longest.set(service.name, [service])
    const rest = service.stopsBefore
      .map((name) => byName.get(name))
      .filter((next) => next !== undefined)
      .map(chainFrom)
      .reduce<PlannedService[]>((best, chain) => (totalMs(chain) > totalMs(best) ? chain : best), [])
    const chain = [service, ...rest]
    longest.set(service.name, chain)
    return chain
  }
  const chain = services
    .map(chainFrom)
    .reduce<PlannedService[]>((best, candidate) => (totalMs(candidate) > totalMs(best) ? candidate : best), [])
  return {
    chain: chain.map((service) => ({ service: service.name, timeoutMs: service.stop.timeoutMs })),
    totalMs: totalMs(chain) + STOP_OVERHEAD_MS,
    stopGracePeriodMs,
  }
}

const totalMs = (chain: readonly PlannedService[]): number =>
  chain.reduce((sum, service) => sum + service.stop.timeoutMs, 0)

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
