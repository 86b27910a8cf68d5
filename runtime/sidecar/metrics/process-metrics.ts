import { readdirSync } from 'node:fs'
import { type EventLoopUtilization, performance } from 'node:perf_hooks'
import { type Family, single } from './exposition.ts'
import { bucketsOf, type Histogram, histogramSamples } from './histogram.ts'

/** What the sidecar costs. */
export interface ProcessReadings {
  readonly residentBytes: number
  readonly cpuSeconds: number
  /** `null` where /proc does not tell. */
  readonly openFiles: number | null
  /** When the process started, ms since 1970. */
  readonly startedAtMs: number
  /** Time for which its event loop had something to do. */
  readonly busySeconds: number
}

/** How late a timer rings; a second is where people notice. */
export const LAG_BUCKETS = bucketsOf(0.002, 0.01, 0.05, 0.25, 1)

/** Reads what the process costs: some 50 microseconds, most of them for the list of open files. */
export function readProcess(): ProcessReadings {
  const { user, system } = process.cpuUsage()
  return {
    residentBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / 1e6,
    openFiles: countOpenFiles(),
    startedAtMs: performance.timeOrigin,
    busySeconds: (performance.eventLoopUtilization() as EventLoopUtilization).active / 1000,
  }
}

function countOpenFiles(): number | null {
  try {
    // One of them is the directory itself.
    return readdirSync('/proc/self/fd').length - 1
  } catch {
    return null
  }
}

/** The sidecar's own series. */
export function processFamilies(readings: ProcessReadings, lag: Histogram): readonly Family[] {
  const { residentBytes, cpuSeconds, openFiles, startedAtMs, busySeconds } = readings
  const one = (type: Family['type'], name: string, help: string, value: number | null): Family => ({
    name: `machine_sidecar_${name}`,
    type,
    help,
    samples: value === null ? [] : single(value),
  })
  return [
    one('gauge', 'process_resident_memory_bytes', 'Memory of the sidecar.', residentBytes),
    one('counter', 'process_cpu_seconds', 'Processor time of the sidecar.', cpuSeconds),
    one('gauge', 'process_open_fds', 'Files and connections that the sidecar holds open.', openFiles),
    one('gauge', 'process_start_time_seconds', 'When the sidecar was started, since 1970.', startedAtMs / 1000),
    one('counter', 'event_loop_busy_seconds', 'Time for which the sidecar had something to do.', busySeconds),
    {
      name: 'machine_sidecar_event_loop_lag_seconds',
      type: 'histogram',
      help: 'How late a timer of the sidecar rang, once a second.',
      samples: histogramSamples(LAG_BUCKETS, lag, ''),
    },
  ]
}
