import type { MachinePaths, PlannedService } from '../../../schema/plan.ts'
import { isScanned } from '../../shared/service-control.ts'
import type { SidecarAnswer } from '../ask-sidecar.ts'
import { widthOf } from '../console.ts'
import type { Command } from '../context.ts'
import { EXIT } from '../failure.ts'
import { formatDuration } from '../format.ts'
import { readMachine } from '../machine-facts.ts'
import type { ServiceFacts } from '../service-facts.ts'
import { formatServices } from '../status-table.ts'
import { targetsOf } from '../targets.ts'

/** `status`: a table of the services; 0 only if all of them are ready. An optional task may still be at its work. */
export const run: Command = async (context) => {
  const { plan, request, console } = context
  const { services: targets } = targetsOf(context)
  const { sidecar, services } = await readMachine(plan, targets)
  const ok = services.every(({ ready, service, state }) => ready || (isExtra(service) && state === 'starting'))
  if (request.options.json) {
    const answer = { machine: plan.machine.id, target: plan.target, ok, sidecar: sidecarJson(sidecar) }
    console.out(`${JSON.stringify({ ...answer, services: services.map(serviceJson) })}\n`)
    return ok ? EXIT.done : EXIT.findings
  }
  const lines = formatServices(services, { color: console.isColored, columns: widthOf(console) })
  console.out(`${lines.join('\n')}\n`)
  console.say(`${plan.machine.id}: ${summarize(plan.paths, sidecar)}`)
  return ok ? EXIT.done : EXIT.findings
}

const isExtra = ({ kind, optional }: PlannedService): boolean => kind === 'task' && optional

function summarize(paths: MachinePaths, sidecar: SidecarAnswer): string {
  if (sidecar.kind === 'answer') {
    const { state, uptime } = sidecar.status
    return `${state}, up ${formatDuration(uptime)}`
  }
  if (!isRunning(paths)) return 'not running: no supervisor looks after it'
  return `the sidecar does not answer (${sidecar.why}): this is what the supervisors say, and probes from here`
}

function isRunning({ services }: MachinePaths): boolean {
  try {
    return isScanned(services)
  } catch {
    return true
  }
}

const sidecarJson = (sidecar: SidecarAnswer) =>
  sidecar.kind === 'answer'
    ? { answers: true, state: sidecar.status.state, tookMs: sidecar.tookMs }
    : { answers: false, why: sidecar.why }

export function serviceJson(facts: ServiceFacts): object {
  const { service, state, ready, reason, pid, restarts, uptimeMs, sidecar } = facts
  return {
    name: service.name,
    type: service.type,
    gpu: service.gpu,
    state,
    ready,
    reason,
    pid,
    port: service.port,
    restarts,
    uptimeMs,
    live: sidecar?.live ?? null,
    standing: sidecar?.standing ?? null,
    workload: sidecar?.workload ?? null,
  }
}
