import type { Plan } from '../../../schema/plan.ts'
import { type Cgroup, type CpuAccount, openCgroup } from './cgroup.ts'
import { createDiskReader } from './disks.ts'
import { openXidCounter } from './kernel-log.ts'
import type { GpuProcess } from './parse-nvidia-smi.ts'
import type { ResourceSnapshot } from './resource-snapshot.ts'
import { type ClosableNvidiaSmi, createNvidiaSmi } from './run-nvidia-smi.ts'
import { simulateNvidiaSmi } from './simulated-nvidia-smi.ts'
import { createGpuSurveyor, type GpuSurvey } from './survey-gpus.ts'

export interface ResourceMonitor {
  /** The newest readings; `null` until all was read once, so that nobody takes what is not known yet for good news. */
  readonly snapshot: () => ResourceSnapshot | null
  /** Reads the GPUs now, for whoever waits for freed memory. Never throws. */
  readonly surveyGpus: () => Promise<GpuSurvey>
  /** Processes that hold GPU memory now; `null` where that cannot be known. Never throws. */
  readonly gpuProcesses: () => Promise<readonly GpuProcess[] | null>
  readonly close: () => void
}

export interface ResourceMonitorOptions {
  readonly plan: Pick<Plan, 'gpus' | 'paths'>
  /** Time between two readings. */
  readonly intervalMs?: number
  /** nvidia-smi starts a process and wakes the driver: it may be asked less often. */
  readonly gpuIntervalMs?: number
  /** How busy the services on a simulated GPU are, 0 to 1. */
  readonly loadOf?: (gpu: number) => number
  readonly cgroup?: Cgroup
  readonly nvidiaSmi?: ClosableNvidiaSmi
  readonly kernelLog?: string
}

const INTERVAL_MS = 10_000

const NO_GPUS: GpuSurvey = { gpus: [], gpuProblem: null, missingGpus: [] }

/**
 * Reads the resources of the machine, at once and then again and again; GPUs apart from the rest, so that a driver that
 * hangs holds up nothing else. Simulated GPUs go through the same parser as real ones.
 */
export function startResourceMonitor(options: ResourceMonitorOptions): ResourceMonitor {
  const { plan, intervalMs = INTERVAL_MS, gpuIntervalMs = INTERVAL_MS, cgroup = openCgroup() } = options
  const { root, workspace, state, logs } = plan.paths
  const readDisks = createDiskReader([...new Set([root, workspace, state, logs])])
  const gpus = openGpus(options)
  const cpuMeter = createCpuMeter(cgroup)
  let gpuSurvey: GpuSurvey | null = plan.gpus.length === 0 ? NO_GPUS : null
  let rest: Omit<ResourceSnapshot, keyof GpuSurvey> | null = null

  const readRest = async () => {
    const cpu = cpuMeter(performance.now())
    const memory = cgroup.memory()
    rest = { atMs: Date.now(), cpu, memory, disks: await readDisks() }
  }
  const readGpus = async () => {
    gpuSurvey = await gpus.survey()
    return gpuSurvey
  }
  const stops = [repeat(readRest, intervalMs), ...(plan.gpus.length === 0 ? [] : [repeat(readGpus, gpuIntervalMs)])]

  return {
    snapshot: () => (rest === null || gpuSurvey === null ? null : { ...rest, ...gpuSurvey }),
    surveyGpus: readGpus,
    gpuProcesses: gpus.processes,
    close: () => {
      for (const stop of stops) stop()
      gpus.close()
    },
  }
}

function openGpus({ plan, loadOf = () => 0, nvidiaSmi, kernelLog }: ResourceMonitorOptions) {
  const isSimulated = plan.gpus.every(({ mock }) => mock)
  const run: ClosableNvidiaSmi = nvidiaSmi ?? (isSimulated ? simulateNvidiaSmi(plan.gpus, loadOf) : createNvidiaSmi())
  const xid = openXidCounter(isSimulated ? '/dev/null' : kernelLog)
  const close = () => {
    xid.close()
    run.close?.()
  }
  return { ...createGpuSurveyor(plan.gpus, run, xid), close }
}

/** Runs at once, and again a while after each end. Gives the function that stops it. */
function repeat(work: () => Promise<unknown>, pauseMs: number): () => void {
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  const round = async () => {
    await work()
    if (isStopped) return
    timer = setTimeout(round, pauseMs)
    timer.unref()
  }
  void round()
  return () => {
    isStopped = true
    clearTimeout(timer)
  }
}

/** The cores that were used between two calls, by a clock that never jumps. */
function createCpuMeter(cgroup: Cgroup): (nowMs: number) => ResourceSnapshot['cpu'] {
  let before: { readonly account: CpuAccount; readonly atMs: number } | null = null
  return (nowMs) => {
    const account = cgroup.cpu()
    const usedCores = before === null ? null : coresBetween(before.account, account, (nowMs - before.atMs) / 1000)
    before = { account, atMs: nowMs }
    return { cores: account.cores, usedCores, throttledSeconds: account.throttledSeconds }
  }
}

/** More than all cores for a moment is the coarseness of two clocks. */
function coresBetween(before: CpuAccount, after: CpuAccount, seconds: number): number | null {
  if (before.usedSeconds === null || after.usedSeconds === null || seconds <= 0) return null
  const cores = (after.usedSeconds - before.usedSeconds) / seconds
  return cores < 0 ? null : Math.min(cores, after.cores)
}
