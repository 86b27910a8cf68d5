import type { StateName } from '../shared/service-state.ts'
import type { Workload } from '../sidecar/workload/workload.ts'
import { formatDuration } from './format.ts'
import type { ServiceFacts } from './service-facts.ts'
import { type Color, formatTable, type TableLayout } from './table.ts'

export const STATE_COLORS: Readonly<Record<StateName, Color>> = {
  ready: 'green',
  done: 'green',
  starting: 'yellow',
  stopping: 'yellow',
  waiting: 'grey',
  down: 'grey',
  unready: 'red',
  failed: 'red',
}

/** Services as a table; the work column only where something is known of work. */
export function formatServices(services: readonly ServiceFacts[], layout: TableLayout): string[] {
  const works = services.map(({ sidecar }) => describeWork(sidecar?.workload ?? null))
  const hasWork = works.some((work) => work !== '')
  const headings = ['SERVICE', 'GPU', 'STATE', 'READY', 'PID', 'PORT', 'RESTARTS', 'UPTIME']
  const rows = services.map(({ service, state, ready, pid, restarts, uptimeMs, reason }, index) => [
    service.name,
    String(service.gpu ?? '-'),
    { text: state, color: STATE_COLORS[state] },
    ready ? 'yes' : 'no',
    String(pid ?? '-'),
    String(service.port ?? '-'),
    { text: String(restarts), color: restarts > 0 ? ('yellow' as const) : undefined },
    uptimeMs === null ? '-' : formatDuration(uptimeMs),
    ...(hasWork ? [works[index] || '-'] : []),
    reason ?? '',
  ])
  return formatTable([...headings, ...(hasWork ? ['WORK'] : []), 'REASON'], rows, layout)
}

/** `1 running, 3 waiting`, `job 5f3a`, `2 models loaded`; nothing where nothing is known. */
export function describeWork(workload: Workload | null): string {
  if (workload === null) return ''
  const { queueRunning, queuePending, currentJob, modelsLoaded, jobsProcessed } = workload
  if (currentJob !== null) return `job ${currentJob}`
  if (queueRunning !== null || queuePending !== null) {
    const [running, pending] = [queueRunning ?? 0, queuePending ?? 0]
    return running + pending === 0 ? 'idle' : `${running} running, ${pending} waiting`
  }
  if (modelsLoaded !== null && modelsLoaded.length > 0) return `${modelsLoaded.length} models loaded`
  return jobsProcessed === null ? '' : `${jobsProcessed} jobs done`
}
