import { performance } from 'node:perf_hooks'
import type { SidecarView } from '../view.ts'
import { readAccessLine } from './access-line.ts'
import { accessRoutes } from './access-routes.ts'
import { countAccess } from './access-totals.ts'
import { emptyHistogram, observeValue } from './histogram.ts'
import { createLineFollower, type LineFollower } from './line-follower.ts'
import { createMetricsPage, type MetricsPage } from './metrics-page.ts'
import { loadRecord, saveRecord } from './metrics-record.ts'
import type { Collected } from './metrics-sections.ts'
import { createProbeDurations, type OnProbe } from './probe-durations.ts'
import { LAG_BUCKETS, type ProcessReadings, readProcess } from './process-metrics.ts'

/** How often the access log is read on, and the event loop is timed. */
const TICK_MS = 1000

/** How often the counters are kept: what a killed sidecar had counted since then, the next one reads again. */
const SAVE_MS = 5000

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
  const { totals, position } = loadRecord(recordFile, bootId, routes)
  let counted = 0
  const follower = plan.proxy === null ? null : followAccessLog(plan.proxy.accessLogDirectory)
  const probes = createProbeDurations(plan.services)
  const lag = emptyHistogram(LAG_BUCKETS)
  const process = createProcessReader()
  const report = createReporter(onError)

  function followAccessLog(directory: string): LineFollower {
    return createLineFollower({
      directory,
      from: position,
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

  let saved = ''
  const save = () => {
    const place = follower?.position() ?? null
    const state = JSON.stringify([counted, place])
    if (state === saved) return
    saveRecord(recordFile, { bootId, totals, position: place })
    saved = state
  }
  const timer = startTicks((latenessMs) => {
    observeValue(LAG_BUCKETS, lag, latenessMs / 1000)
    if (follower !== null) void report('read', follower.advance)
  })
  const saveTimer = setInterval(() => void report('save', save), SAVE_MS).unref()

  const collect = (): Collected => {
    const access = follower === null ? null : { totals, behindBytes: follower.behindBytes(), version: counted }
    return { probes, access, process: process(), lag }
  }
  return {
    onProbe: probes.onProbe,
    page: createMetricsPage(view, collect),
    close: async () => {
      timer.stop()
      clearInterval(saveTimer)
      await follower?.close()
      await report('save', save)
    },
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
function startTicks(onTick: (latenessMs: number) => void): { readonly stop: () => void } {
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
