import type { PlannedService } from '../../../schema/plan.ts'
import type { HttpAsk } from './http-ask.ts'
import { type ProbeOutcome, probe } from './probe.ts'

/**
 * A service that is not ready yet is probed again after a tenth of the time that it has taken so far, within these
 * limits: its readiness is seen late by a tenth at the most, and a slow start costs no more than a quick one.
 */
const SHORTEST_DELAY_MS = 100
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
  readonly ask: HttpAsk
  /** Takes the outcome, and tells whether the service is ready now. */
  readonly report: (incarnation: string, outcome: ProbeOutcome) => boolean
}

/** One run of a service that is being probed; a new object for each, so that a late answer finds itself out of date. */
interface Pursuit {
  readonly incarnation: string
  readonly launchedAtMs: number
}

/** Probes one service, one probe at a time, the next one after the last has ended. */
export function createProber({ service, ask, report }: ProberOptions): Prober {
  let current: Pursuit | null = null
  let timer: NodeJS.Timeout | undefined

  const stop = () => {
    current = null
    clearTimeout(timer)
  }

  const schedule = (pursuit: Pursuit, delayMs: number) => {
    timer = setTimeout(async () => {
      const outcome = await probe(service, ask)
      if (current !== pursuit) return
      const ready = report(pursuit.incarnation, outcome)
      if (current !== pursuit || (ready && isProvenOnce(service.probe))) return
      const elapsedMs = Date.now() - pursuit.launchedAtMs
      schedule(pursuit, probeDelayMs(service.liveness.intervalMs, ready, elapsedMs, Math.random()))
    }, delayMs)
    timer.unref()
  }

  const follow = (incarnation: string, launchedAtMs: number) => {
    if (current?.incarnation === incarnation) return
    stop()
    current = { incarnation, launchedAtMs }
    const graceMs = service.probe?.kind === 'uptime' ? service.probe.graceMs : 0
    schedule(current, Math.max(0, launchedAtMs + graceMs - Date.now()))
  }

  return { follow, stop }
}

/** Nothing but its end changes the verdict. */
function isProvenOnce(kind: PlannedService['probe']): boolean {
  return kind === null || kind.kind === 'uptime'
}

/** The pause before the next probe of a service that was launched `elapsedMs` ago; `random` is from 0 to 1. */
export function probeDelayMs(intervalMs: number, ready: boolean, elapsedMs: number, random: number): number {
  if (ready) return intervalMs * (1 + JITTER * (2 * random - 1))
  return Math.min(Math.max(elapsedMs / 10, SHORTEST_DELAY_MS), LONGEST_DELAY_MS)
}
