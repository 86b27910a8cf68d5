import type { JournalCounts, OutboxState } from '../../runtime/sidecar/events/event-journal.ts'
import { emptyAccessTotals } from '../../runtime/sidecar/metrics/access-totals.ts'
import { emptyHistogram, observeValue } from '../../runtime/sidecar/metrics/histogram.ts'
import type { Collected } from '../../runtime/sidecar/metrics/metrics-sections.ts'
import { createProbeDurations } from '../../runtime/sidecar/metrics/probe-durations.ts'
import { LAG_BUCKETS } from '../../runtime/sidecar/metrics/process-metrics.ts'
import type { GpuReading, ResourceSnapshot } from '../../runtime/sidecar/resources/resource-snapshot.ts'
import type { BootRecord } from '../../runtime/sidecar/state/boot-history.ts'
import type { SidecarView } from '../../runtime/sidecar/view.ts'
import type { Plan } from '../../schema/plan.ts'
import { exits, OK, running, story } from './machine-records.ts'

export type Workload = NonNullable<ReturnType<SidecarView['workload']>>

/** A view of a machine of the plan on which every service has died once and is ready now, and all is known. */
export function busyView(plan: Plan, overrides: Partial<SidecarView> = {}): SidecarView {
  const teller = story(plan.services)
  plan.services.forEach(({ name }, index) => {
    teller.see(name, running(100 + index, 10_000, { deaths: exits(1, 5000) }), 10_000)
    teller.probe(name, OK, 12_500)
  })
  const boot: BootRecord = {
    id: 'boot-1',
    startedAtMs: 2000,
    readyAtMs: 12_500,
    readyAfterMs: 10_500,
    endedAtMs: null,
    ended: null,
  }
  const machine = { ...teller.machine(), boots: [boot] }
  const resources = resourcesFixture(plan)
  const workloads = new Map(plan.services.map(({ name, type }) => [name, workloadFixture(type)]))
  return {
    plan,
    version: '1.2.3',
    bootId: 'boot-1',
    nowMs: () => 20_000,
    machine: () => machine,
    resources: () => resources,
    workload: (name) => workloads.get(name) ?? null,
    operations: () => null,
    journal: () => ({ ...NO_JOURNAL, counts: () => JOURNAL }),
    outbox: () => OUTBOX,
    ...overrides,
  }
}

const JOURNAL: JournalCounts = { appended: 41, dropped: 2, bytes: 9000 }
const OUTBOX: OutboxState = { connected: true, depth: 3, published: 38, failures: 1, problem: null }

const NO_JOURNAL = {
  bootId: 'boot-1',
  lastSeq: () => 0,
  firstSeq: () => 0,
  append: () => {
    throw new Error('nothing is appended here')
  },
  since: () => [],
  follow: () => () => {},
}

export function gpuReading(index: number, overrides: Partial<GpuReading> = {}): GpuReading {
  return {
    index,
    uuid: `GPU-${index}`,
    name: 'NVIDIA GeForce RTX 4090',
    utilization: 0.5,
    memoryTotalBytes: 24e9,
    memoryUsedBytes: 6e9,
    temperatureCelsius: 61,
    powerWatts: 280.5,
    powerLimitWatts: 450,
    eccUncorrected: 0,
    xidErrors: 1,
    mig: false,
    mock: true,
    ...overrides,
  }
}

export function resourcesFixture(plan: Plan, overrides: Partial<ResourceSnapshot> = {}): ResourceSnapshot {
  return {
    atMs: 19_000,
    gpus: plan.gpus.map(({ index }) => gpuReading(index)),
    gpuProblem: null,
    missingGpus: [],
    cpu: { cores: 16, usedCores: 2.5, throttledSeconds: 1.25 },
    memory: { totalBytes: 64e9, usedBytes: 20e9, oomKills: 1 },
    disks: [{ path: plan.paths.workspace, totalBytes: 1e12, freeBytes: 4e11, freeInodes: 1_000_000 }],
    ...overrides,
  }
}

function workloadFixture(type: string): Workload | null {
  const known = {
    comfyui: { queueRunning: 1, queuePending: 4, promptsDone: 17, outOfMemoryCount: 2 },
    ollama: { modelsLoaded: ['llama3:8b'], modelsAvailable: ['llama3:8b', 'phi'] },
    'redis-worker': { jobsProcessed: 12, currentJob: 'job-7' },
  }[type]
  return known === undefined ? null : { ...NOTHING_KNOWN, ...known }
}

export const NOTHING_KNOWN: Workload = {
  atMs: 19_000,
  queueRunning: null,
  queuePending: null,
  promptsDone: null,
  modelsLoaded: null,
  modelsAvailable: null,
  jobsProcessed: null,
  currentJob: null,
  outOfMemoryCount: null,
}

/** What was counted on a machine without a request and without a probe. */
export function collectedFixture(plan: Plan, overrides: Partial<Collected> = {}): Collected {
  const lag = emptyHistogram(LAG_BUCKETS)
  observeValue(LAG_BUCKETS, lag, 0.001)
  return {
    probes: createProbeDurations(plan.services),
    access: plan.proxy === null ? null : { totals: emptyAccessTotals(), behindBytes: 0, version: 0 },
    process: { residentBytes: 60e6, cpuSeconds: 1.5, openFiles: 30, startedAtMs: 2000, busySeconds: 2.5 },
    lag,
    ...overrides,
  }
}
