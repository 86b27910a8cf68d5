import type { PlannedService } from '../../../schema/plan.ts'
import { createInspector, type InspectedService, type Inspector } from '../workload/inspector.ts'
import type { Workload } from '../workload/workload.ts'
import type { HttpAsk } from './http-ask.ts'
import { type ProbeOutcome, probe } from './probe.ts'
import { judgeWorker } from './worker-readiness.ts'

/**
 * A service that is not ready yet is probed again after a tenth of the time that it has taken so far, within these
 * limits: its readiness is seen late by a tenth at the most, and a slow start costs no more than a quick one.
 */
const SHORTEST_DELAY_MS = 100
const LONGEST_DELAY_MS = 1000

/** Spreads the probes of many services; services that were started together would else be probed together for ever. */
const JITTER = 0.1

/** One that was launched longer ago was found running. */
const FRESH_MS = 5000

export interface Prober {
  /** Probes this run of the service until told otherwise; the run that is being probed already goes on. */
  readonly follow: (incarnation: string, launchedAtMs: number) => void
  readonly stop: () => void
  /** What this run is busy with, by the last look at it; `null` before that and for types that do not tell. */
  readonly workload: () => Workload | null
}

export interface ProberOptions {
  readonly service: InspectedService & Pick<PlannedService, 'workerId'>
  readonly ask: HttpAsk
  /** Takes the outcome, and tells whether the service is ready now. */
  readonly report: (incarnation: string, outcome: ProbeOutcome) => boolean
  /** How long a probe took, what it was for, and whether it succeeded. */
  readonly onProbe?: (kind: ProbeKind, durationMs: number, ok: boolean) => void
  /** Its log told of jobs that ran out of GPU memory. */
  readonly onOutOfMemory?: () => void
  readonly workerSaysReady?: WorkerSaysReady
}

/** Until it is ready for the first time, while it is ready no more, and while it is. */
export type ProbeKind = 'startup' | 'readiness' | 'liveness'

/**
 * What Redis says of a worker that was launched at a time: it is ready, it is not; `null` where nothing is known of this
 * run of it.
 */
export type WorkerSaysReady = (workerId: string, launchedAtMs: number) => boolean | null

/** One run of a service that is being probed; a new object for each, so that a late answer finds itself out of date. */
interface Pursuit {
  readonly incarnation: string
  readonly launchedAtMs: number
  /** How long ago that was, by a clock that nobody sets. */
  readonly ageMs: () => number
  readonly inspector: Inspector | null
  /** What the next probe is for. */
  kind: ProbeKind
}

/** Probes one service, one probe at a time, the next one after the last has ended. */
export function createProber(options: ProberOptions): Prober {
  const { service, ask, report } = options
  let current: Pursuit | null = null
  let timer: NodeJS.Timeout | undefined
  let workload: Workload | null = null

  const stop = () => {
    current?.inspector?.close()
    current = null
    workload = null
    clearTimeout(timer)
  }

  /** Looks into a service that has just answered; gives whether it still counts as ready. */
  const inspect = async (pursuit: Pursuit, inspector: Inspector, answer?: string): Promise<boolean> => {
    const seen = await inspector.inspect(answer)
    if (current !== pursuit) return false
    if ((seen.workload.outOfMemoryCount ?? 0) > (workload?.outOfMemoryCount ?? 0)) options.onOutOfMemory?.()
    workload = seen.workload
    if (seen.death === null) return true
    return report(pursuit.incarnation, { ok: false, patient: false, live: false, problem: seen.death })
  }

  const probeOnce = async (pursuit: Pursuit) => {
    const startedMs = performance.now()
    const outcome = await probeService(options, pursuit)
    if (current !== pursuit) return
    options.onProbe?.(pursuit.kind, performance.now() - startedMs, outcome.ok)
    let ready = report(pursuit.incarnation, outcome)
    if (current === pursuit && ready && outcome.ok && pursuit.inspector !== null) {
      ready = await inspect(pursuit, pursuit.inspector, outcome.answer)
    }
    if (current !== pursuit || (ready && isProvenOnce(options))) return
    if (ready) pursuit.kind = 'liveness'
    else if (pursuit.kind === 'liveness') pursuit.kind = 'readiness'
    const delayMs = probeDelayMs(service.liveness.intervalMs, ready, pursuit.ageMs(), Math.random())
    schedule(pursuit, ready ? gatheredDelayMs(delayMs, performance.now()) : delayMs)
  }

  const schedule = (pursuit: Pursuit, delayMs: number) => {
    timer = setTimeout(() => void probeOnce(pursuit), delayMs)
    timer.unref()
  }

  const follow = (incarnation: string, launchedAtMs: number) => {
    if (current?.incarnation === incarnation) return
    stop()
    const ageMs = startAge(launchedAtMs)
    const launch = { atMs: launchedAtMs, isFresh: ageMs() < FRESH_MS }
    const inspector = createInspector({ service, ask, launch })
    current = { incarnation, launchedAtMs, ageMs, inspector, kind: 'startup' }
    schedule(current, firstDelayMs(options, ageMs()))
  }

  return { follow, stop, workload: () => workload }
}

/** One that only has to run for its grace time needs no look before that. */
function firstDelayMs({ service, workerSaysReady }: ProberOptions, ageMs: number): number {
  if (service.probe?.kind !== 'uptime' || (workerSaysReady && service.workerId !== null)) return 0
  return Math.max(0, service.probe.graceMs - ageMs)
}

function startAge(launchedAtMs: number): () => number {
  const steadyMs = performance.now() - (Date.now() - launchedAtMs)
  return () => performance.now() - steadyMs
}

function probeService(
  { service, ask, workerSaysReady }: ProberOptions,
  { launchedAtMs, ageMs }: Pursuit,
): Promise<ProbeOutcome> | ProbeOutcome {
  if (service.probe?.kind !== 'uptime' || !workerSaysReady || service.workerId === null) return probe(service, ask)
  return judgeWorker(workerSaysReady(service.workerId, launchedAtMs), ageMs(), service.probe.graceMs)
}

/** Nothing but its end changes the verdict. */
function isProvenOnce({ service, workerSaysReady }: ProberOptions): boolean {
  if (workerSaysReady && service.workerId !== null) return false
  return service.probe === null || service.probe.kind === 'uptime'
}

/** The pause before the next probe of a service that was launched `elapsedMs` ago; `random` is from 0 to 1. */
export function probeDelayMs(intervalMs: number, ready: boolean, elapsedMs: number, random: number): number {
  const delayMs = ready ? intervalMs : Math.min(Math.max(elapsedMs / 10, SHORTEST_DELAY_MS), LONGEST_DELAY_MS)
  return delayMs * (1 + JITTER * (2 * random - 1))
}

/** What wakes the process up costs more than a question does: those of services that are well gather at whole seconds. */
const GATHER_MS = 1000

/**
 * A pause that ends at such a moment, the nearest one, so that the interval stays what it is on average. The jitter decides
 * which; short pauses are left as they are.
 */
export function gatheredDelayMs(delayMs: number, nowMs: number): number {
  if (delayMs < 3 * GATHER_MS) return delayMs
  return Math.round((nowMs + delayMs) / GATHER_MS) * GATHER_MS - nowMs
}
