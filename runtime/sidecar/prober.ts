import type { PlannedService } from '../../schema/plan.ts'
import { type HttpGet, type ProbeOutcome, probe } from './probe.ts'

/** Between the probes of a service that is not ready yet: a quick start is seen at once, a slow one costs little. */
const FIRST_DELAY_MS = 200
const LONGEST_DELAY_MS = 1000

/** Spreads the probes of many services; services that were started together would else be probed together for ever. */
const JITTER = 0.1

export interface Prober {
  /** Probes this run of the service until told otherwise; the run that is being probed already goes on. */
  readonly follow: (incarnation: string, launchedAtMs: number) => void
  readonly stop: () => void
}

export interface ProberOptions {
  readonly service: Pick<PlannedService, 'address' | 'port' | 'probe' | 'liveness'>
  readonly get: HttpGet
  /** Takes the outcome, and tells whether the service is ready now. */
  readonly report: (incarnation: string, outcome: ProbeOutcome) => boolean
}

/** Probes one service, one probe at a time, the next one after the last has ended. */
export function createProber({ service, get, report }: ProberOptions): Prober {
  let followed: string | null = null
  let timer: NodeJS.Timeout | undefined

  const stop = () => {
    followed = null
    clearTimeout(timer)
  }

  const schedule = (incarnation: string, attempt: number, delayMs: number) => {
    timer = setTimeout(async () => {
      const outcome = await probe(service, get)
      if (followed !== incarnation) return
      const ready = report(incarnation, outcome)
      if (followed !== incarnation) return
      if (ready && isProvenOnce(service.probe)) return
      schedule(
        incarnation,
        ready ? 0 : attempt + 1,
        probeDelayMs(service.liveness.intervalMs, ready, attempt, Math.random()),
      )
    }, delayMs)
    timer.unref()
  }

  const follow = (incarnation: string, launchedAtMs: number) => {
    if (followed === incarnation) return
    stop()
    followed = incarnation
    const graceMs = service.probe?.kind === 'uptime' ? service.probe.graceMs : 0
    schedule(incarnation, 0, Math.max(0, launchedAtMs + graceMs - Date.now()))
  }

  return { follow, stop }
}

/** Nothing but its end changes the verdict. */
function isProvenOnce(kind: PlannedService['probe']): boolean {
  return kind === null || kind.kind === 'uptime'
}

/** The pause after the probe number `attempt` (from 0); `random` is from 0 to 1. */
export function probeDelayMs(intervalMs: number, ready: boolean, attempt: number, random: number): number {
  if (ready) return intervalMs * (1 + JITTER * (2 * random - 1))
  return Math.min(FIRST_DELAY_MS * 2 ** Math.min(attempt, 10), LONGEST_DELAY_MS)
}
