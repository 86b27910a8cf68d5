import type { Plan, PlannedService } from '../../schema/plan.ts'
import { formatDuration } from '../plan/quantities.ts'

const HEAD = ['SERVICE', 'GPU', 'PORT', 'ROUTE', 'WAITS FOR', 'RESTARTS', 'STOP']

/** What an operator wants to know of a machine, as a table, with the longest stop below it. */
export function formatPlan(plan: Plan): string {
  const rows = [HEAD, ...plan.services.map((service) => row(plan, service))]
  const widths = HEAD.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)))
  const lines = rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
  return `${[title(plan), '', ...lines, '', stopLine(plan)].join('\n')}\n`
}

function title({ machine, gpus, target, simulate }: Plan): string {
  const [first] = gpus
  const kind = first === undefined ? '' : `: ${first.model}, ${first.memoryGB} GB`
  const count = gpus.length === 1 ? '1 GPU' : `${gpus.length} GPUs`
  return `${machine.id}: ${count}${kind}, ${target}${simulate ? ', simulated' : ''}`
}

function row(plan: Plan, service: PlannedService): string[] {
  const { name, gpu, port, waitsFor, restart, stop } = service
  return [
    name,
    gpu === null ? '-' : String(gpu),
    port === null ? '-' : String(port),
    orDash(routesTo(plan, service)),
    orDash(waitsFor.join(' ')),
    restart === null ? 'always' : `${restart.maxAttempts} in ${formatDuration(restart.windowMs)}`,
    `${stop.signal.replace(/^SIG/, '')} ${formatDuration(stop.timeoutMs)}`,
  ]
}

function orDash(text: string): string {
  return text === '' ? '-' : text
}

/** Paths of the proxy, then its ports, that lead to a service. */
function routesTo({ proxy }: Plan, { name, type }: PlannedService): string {
  if (proxy === null) return ''
  const paths = proxy.routes.flatMap((route) => {
    if (route.kind === 'service') return route.service === name ? [route.path] : []
    if (route.kind === 'balanced') return route.services.includes(name) ? [route.path] : []
    return type === 'sidecar' ? [route.path] : []
  })
  const ports = proxy.gpuPorts.filter((entry) => entry.service === name).map(({ port }) => `:${port}`)
  const own = type === 'nginx' ? ['/', ...(proxy.tls === null ? [] : [`:${proxy.tls.port} (TLS)`])] : []
  return [...own, ...paths, ...ports].join(' ')
}

function stopLine({ stopBudget: { chain, totalMs, stopGracePeriodMs } }: Plan): string {
  const steps = chain.map(({ service, timeoutMs }) => `${service} ${formatDuration(timeoutMs)}`).join(', then ')
  return `longest stop: ${formatDuration(totalMs)} of ${formatDuration(stopGracePeriodMs)}: ${steps}`
}
