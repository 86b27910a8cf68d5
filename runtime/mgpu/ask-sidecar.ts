import type { Plan } from '../../schema/plan.ts'
import type { StateName } from '../shared/service-state.ts'
import type { Workload } from '../sidecar/workload/workload.ts'

/** What the sidecar answers to `/status`, as far as this program uses it. */
export interface SidecarStatus {
  readonly healthy: boolean
  readonly ready: boolean
  readonly state: string
  readonly uptime: number
  readonly services: Readonly<Record<string, SidecarService>>
  readonly gpus: readonly SidecarGpu[]
  readonly resources: SidecarResources | null
  readonly events: { readonly outbox: { readonly connected: boolean; readonly problem: string | null } | null }
}

export interface SidecarService {
  readonly state: StateName
  readonly reason: string | null
  readonly ready: boolean
  readonly live: boolean
  readonly standing: string
  readonly pid: number | null
  readonly restarts: number
  readonly cpu: number | null
  readonly memory: number | null
  readonly workload: Workload | null
}

export interface SidecarGpu {
  readonly index: number
  readonly model: string
  readonly missing: boolean
  readonly reading: {
    readonly utilization: number | null
    readonly memoryTotalBytes: number | null
    readonly memoryUsedBytes: number | null
    readonly temperatureCelsius: number | null
    readonly powerWatts: number | null
  } | null
}

export interface SidecarResources {
  readonly gpuProblem: string | null
  readonly cpu: { readonly cores: number; readonly usedCores: number | null }
  readonly memory: { readonly totalBytes: number; readonly usedBytes: number }
  readonly disks: readonly { readonly path: string; readonly totalBytes: number; readonly freeBytes: number }[]
}

export type SidecarAnswer =
  | { readonly kind: 'answer'; readonly status: SidecarStatus; readonly tookMs: number }
  /** `why`: in words, as the end of a sentence about it. */
  | { readonly kind: 'silent'; readonly why: string }

/** How long an answer may take before the machine is described without it. */
const PATIENCE_MS = 300

/** Asks the sidecar for all that it knows; never throws, and takes no longer than the patience. */
export async function askSidecar(
  { sidecar, machine }: Pick<Plan, 'sidecar' | 'machine'>,
  patienceMs = PATIENCE_MS,
): Promise<SidecarAnswer> {
  const startedMs = performance.now()
  try {
    const { createHttpAsk } = await import('../sidecar/probes/http-ask.ts')
    const host = sidecar.address.includes(':') ? `[${sidecar.address}]` : sidecar.address
    const url = new URL(`http://${host}:${sidecar.port}/status`)
    const { status, body } = await createHttpAsk().ask(url, patienceMs)
    if (status !== 200) return { kind: 'silent', why: `it answers with status ${status}` }
    const answer = JSON.parse(body) as SidecarStatus & { readonly machine: string }
    if (answer.machine !== machine.id) return { kind: 'silent', why: `port ${sidecar.port} is that of another machine` }
    return { kind: 'answer', status: answer, tookMs: Math.round(performance.now() - startedMs) }
  } catch (error) {
    return { kind: 'silent', why: describeSilence(error as NodeJS.ErrnoException, sidecar.port) }
  }
}

function describeSilence({ code, message }: NodeJS.ErrnoException, port: number): string {
  if (code === 'ECONNREFUSED') return `nothing listens on port ${port}`
  return message
}
