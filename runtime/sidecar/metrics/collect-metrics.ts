import { performance } from 'node:perf_hooks'
import type { SidecarView } from '../view.ts'
import { readAccessLine } from './access-line.ts'
import { accessRoutes } from './access-routes.ts'
import { countAccess, emptyAccessTotals } from './access-totals.ts'
import { emptyHistogram, observeValue } from './histogram.ts'
import { createLineFollower, type LineFollower } from './line-follower.ts'
import { createMetricsPage, type MetricsPage } from './metrics-page.ts'
import { loadRecord, type MetricsRecord, saveRecord } from './metrics-record.ts'
import type { Collected } from './metrics-sections.ts'
import { createProbeDurations, type OnProbe } from './probe-durations.ts'
import { LAG_BUCKETS, type ProcessReadings, readProcess } from './process-metrics.ts'

/** How often the access log is read on, and the event loop is timed. */
const TICK_MS = 1000

/** How often the counters are kept: what a killed sidecar had counted since then, the next one reads again. */
const KEEP_MS = 5000

/** For this long the readings of the process hold: asked more often, they would be most of the cost of an answer. */
const READINGS_MS = 500

export interface Metrics {
  readonly onProbe: OnProbe
  readonly page: MetricsPage
  /** Keeps the counters and ends all reading. */
  readonly close: () => Promise<void>
}

export interface MetricsOptions {
  readonly view: SidecarView
  /** Takes what cannot be done: the log cannot be read, the counters cannot be kept. Said once until it works again. */
  readonly onError: (error: Error) => void
}

/** Counts what happens on the machine from now on, and renders the page of it. */
export function startMetrics({ view, onError }: MetricsOptions): Metrics {
  const { plan, bootId } = view
  const recordFile = `${plan.paths.run}/metrics.json`
  const routes = plan.proxy === null ? new Set<string>() : accessRoutes(plan.proxy)
  const record = loadRecord(recordFile, bootId, routes)
  const totals = record?.totals ?? emptyAccessTotals()
  let counted = 0
  const follower = plan.proxy === null ? null : followAccessLog(plan.proxy.accessLogDirectory)
  const probes = createProbeDurations(plan.services)
  const lag = emptyHistogram(LAG_BUCKETS)
  const process = createProcessReader()
  const report = createReporter(onError)

  function followAccessLog(directory: string): LineFollower {
    return createLineFollower({
      directory,
      // What lies there at the first start is of earlier boots.
      from: record === null ? 'end' : (record.position ?? 'beginning'),
      onLines: (lines) => {
        counted += lines.length
        for (const line of lines) {
          const entry = readAccessLine(line)
          if (entry === null) totals.malformedLines += 1
          else countAccess(totals, routes, entry)
        }
      },
      onBrokenLine: () => {
        counted += 1
        totals.malformedLines += 1
      },
      onGap: () => {
        counted += 1
        totals.gaps += 1
      },
    })
  }

  const keep = createKeeper(recordFile, () => ({ bootId, totals, position: follower?.position() ?? null }))
  const timer = startTicks(async (latenessMs) => {
    observeValue(LAG_BUCKETS, lag, latenessMs / 1000)
    if (follower === null) return
    await report('read', follower.advance)
    await report('keep', () => keep(counted))
  })

  const collect = (): Collected => {
    const access = follower === null ? null : { totals, behindBytes: follower.behindBytes(), version: counted }
    return { probes, access, process: process(), lag }
  }
  return {
    onProbe: probes.onProbe,
    page: createMetricsPage(view, collect),
    close: async () => {
      timer.stop()
      if (follower === null) return
      await report('read', follower.close)
      await report('keep', () => keep(counted, true))
    },
  }
}

/** Keeps the counters when they have changed and the last time is a while ago: the first time at once. */
function createKeeper(file: string, record: () => MetricsRecord): (counted: number, isLast?: boolean) => void {
  let keptAtMs = Number.NEGATIVE_INFINITY
  let kept = ''
  return (counted, isLast = false) => {
    const nowMs = performance.now()
    const now = record()
    const state = JSON.stringify([counted, now.position])
    if (state === kept || (!isLast && nowMs - keptAtMs < KEEP_MS)) return
    saveRecord(file, now)
    kept = state
    keptAtMs = nowMs
  }
}

function createProcessReader(): () => ProcessReadings {
  let readings: ProcessReadings | null = null
  let readAtMs = 0
  return () => {
    const nowMs = performance.now()
    if (readings === null || nowMs - readAtMs >= READINGS_MS) {
      readings = readProcess()
      readAtMs = nowMs
    }
    return readings
  }
}

/** Calls every second, with how late the call is. The first one comes at once. */
function startTicks(onTick: (latenessMs: number) => unknown): { readonly stop: () => void } {
  let timer: NodeJS.Timeout
  const schedule = (delayMs: number) => {
    const dueMs = performance.now() + delayMs
    timer = setTimeout(() => {
      onTick(Math.max(0, performance.now() - dueMs))
      schedule(TICK_MS)
    }, delayMs).unref()
  }
  schedule(0)
  return { stop: () => clearTimeout(timer) }
}

/** Does things and reports their errors, the same one of a thing only once until it works again. */
function createReporter(onError: (error: Error) => void) {
  const failing = new Map<string, string>()
  return async (what: string, act: () => void | Promise<void>): Promise<void> => {
    try {
      await act()
      failing.delete(what)
    } catch (error) {
      const { message } = error as Error
      if (failing.get(what) === message) return
      failing.set(what, message)
      onError(error as Error)
    }
  }
}
