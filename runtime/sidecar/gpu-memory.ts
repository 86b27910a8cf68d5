import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { MachinePaths, Plan, PlannedService } from '../../schema/plan.ts'
import type { Log } from './log.ts'
import type { MachineKeeper } from './machine-keeper.ts'
import type { MachineState } from './machine-state.ts'
import type { GpuProcess } from './resources/parse-nvidia-smi.ts'
import type { ResourceMonitor } from './resources/resource-monitor.ts'

/** `run` waits no longer than this either, so that a sidecar which dies meanwhile holds nothing up. */
const LONGEST_MS = 10_000
const PAUSE_MS = 300

/** While it exists, the `run` of the service waits: its last run may still have the memory of its GPU. */
export function heldFile(paths: Pick<MachinePaths, 'run'>, service: string): string {
  return `${paths.run}/held/${service}`
}

export interface GpuMemoryOptions {
  readonly plan: Pick<Plan, 'gpus' | 'paths'>
  readonly loop: Pick<MachineKeeper, 'machine' | 'follow'>
  readonly resources: Pick<ResourceMonitor, 'snapshot' | 'gpuProcesses'>
  readonly log: Log
  readonly longestMs?: number
}

/**
 * Holds a GPU service that died back until nothing of its last run is left on its GPU, for ten seconds at the most. What is
 * left has been killed by its `finish`; a driver takes its time to give the memory back, and a service that finds too little
 * would die again. Gives what ends it.
 */
export function guardGpuMemory({ plan, loop, resources, log, longestMs = LONGEST_MS }: GpuMemoryOptions): () => void {
  const held = new Set<string>()
  let isClosed = false

  const isFree = async (service: PlannedService): Promise<boolean> => {
    const uuid = resources.snapshot()?.gpus.find(({ index }) => index === service.gpu)?.uuid ?? null
    const processes = uuid === null ? null : await resources.gpuProcesses()
    // What cannot be known holds nobody up.
    if (processes === null) return true
    const isAlone = !sharesGpu(loop.machine(), service)
    const holders = holdersOf(service, processes, { uuid, isAlone, markOf: (pid) => readMark(pid, plan.paths) })
    for (const pid of holders.marked) kill(pid)
    return holders.marked.length + holders.unknown.length === 0
  }

  const hold = async (service: PlannedService): Promise<void> => {
    const file = heldFile(plan.paths, service.name)
    const endMs = performance.now() + longestMs
    while (!isClosed && !(await isFree(service))) {
      if (performance.now() >= endMs) {
        const context = { service: service.name, gpu: service.gpu }
        log.warn({ context }, `"${service.name}" starts although its last run still holds memory of GPU ${service.gpu}`)
        break
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS).unref())
    }
    held.delete(service.name)
    rmSync(file, { force: true })
  }

  const begin = (service: PlannedService): void => {
    held.add(service.name)
    try {
      mkdirSync(`${plan.paths.run}/held`, { recursive: true })
      writeFileSync(heldFile(plan.paths, service.name), '')
    } catch (error) {
      held.delete(service.name)
      log.error({ context: { service: service.name } }, `cannot hold it back: ${(error as Error).message}`)
      return
    }
    void hold(service)
  }

  const unfollow = loop.follow((change) => {
    if (change.kind !== 'service' || held.has(change.after.service.name)) return
    const { before, after } = change
    const hasDied = after.history.deaths > before.history.deaths && after.incarnation === null
    const gpu = plan.gpus.find(({ index }) => index === after.service.gpu)
    const comesBack = after.observation?.status?.wantUp === true && after.service.kind === 'longrun'
    if (hasDied && comesBack && gpu !== undefined && !gpu.mock) begin(after.service)
  })
  return () => {
    isClosed = true
    unfollow()
  }
}

export interface GpuView {
  readonly uuid: string | null
  /** No other service of the machine runs on that GPU. */
  readonly isAlone: boolean
  /** The service that a process belongs to; `null`: to none of this machine, `undefined`: it cannot be seen from here. */
  readonly markOf: (pid: number) => string | null | undefined
}

/**
 * The processes on its GPU that belong to the last run of a service: by their mark, or, where a container sees the numbers of
 * the host's processes, all that cannot be seen while no other service of the machine is on that GPU.
 */
export function holdersOf(
  service: Pick<PlannedService, 'name'>,
  processes: readonly GpuProcess[],
  { uuid, isAlone, markOf }: GpuView,
): { readonly marked: readonly number[]; readonly unknown: readonly number[] } {
  const pids = processes.filter(({ gpuUuid }) => gpuUuid === uuid).map(({ pid }) => pid)
  const marked = pids.filter((pid) => markOf(pid) === service.name)
  const unknown = isAlone ? pids.filter((pid) => markOf(pid) === undefined) : []
  return { marked, unknown }
}

function sharesGpu({ services }: MachineState, { name, gpu }: PlannedService): boolean {
  return [...services.values()].some(
    ({ service, incarnation }) => service.gpu === gpu && service.name !== name && incarnation !== null,
  )
}

/** The mark that `begin` puts into the environment of all that a service starts. */
function readMark(pid: number, { run }: Pick<MachinePaths, 'run'>): string | null | undefined {
  try {
    const prefix = `MACHINEGEN_SERVICE=${run}:`
    const words = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    return words.find((word) => word.startsWith(prefix))?.slice(prefix.length) ?? null
  } catch {
    return undefined
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
