import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { readEntry, readNumber, readText } from './kernel-file.ts'

/** What the control group of this process may use, and what it has used. */
export interface CpuAccount {
  readonly cores: number
  /** CPU time since some moment in the past; `null` where nobody counts it. */
  readonly usedSeconds: number | null
  readonly throttledSeconds: number | null
}

export interface MemoryAccount {
  readonly totalBytes: number
  /** Without what the kernel takes back for the asking: the inactive file cache. */
  readonly usedBytes: number
  readonly oomKills: number | null
}

export interface Cgroup {
  readonly cpu: () => CpuAccount
  readonly memory: () => MemoryAccount
}

export interface CgroupRoots {
  readonly cgroup: string
  readonly proc: string
  /** Of the host, or of the CPU set of this process. */
  readonly cores: number
}

/**
 * The control group of this process: version 2, else version 1, else the host as a whole. The smallest limit between the
 * group and the root holds, and what is used is counted where that limit is.
 */
export function openCgroup(roots: Partial<CgroupRoots> = {}): Cgroup {
  const { cgroup = '/sys/fs/cgroup', proc = '/proc', cores = availableParallelism() } = roots
  const all = { cgroup, proc, cores }
  return existsSync(`${cgroup}/cgroup.controllers`) ? openVersion2(all) : openVersion1(all)
}

function openVersion2({ cgroup, proc, cores }: CgroupRoots): Cgroup {
  const levels = levelsOf(cgroup, ownPath(proc, ''))
  const cpu = (): CpuAccount => {
    const quotas = levels.map((level) => ({ level, quota: quotaOf(readText(`${level}/cpu.max`)) }))
    const tightest = smallest(quotas, ({ quota }) => quota ?? Number.POSITIVE_INFINITY)
    const file = `${tightest.level}/cpu.stat`
    return {
      cores: Math.min(tightest.quota ?? cores, cores),
      usedSeconds: scaled(readEntry(file, 'usage_usec'), 1e6) ?? hostCpuSeconds(proc),
      throttledSeconds: scaled(readEntry(file, 'throttled_usec'), 1e6),
    }
  }
  const memory = (): MemoryAccount => {
    const oomKills = readEntry(`${levels[0]}/memory.events`, 'oom_kill')
    const limits = levels.map((level) => ({ level, limit: readNumber(`${level}/memory.max`) }))
    const { level, limit } = smallest(limits, (each) => each.limit ?? Number.POSITIVE_INFINITY)
    const current = readNumber(`${level}/memory.current`)
    return limitedMemory(proc, limit, current, readEntry(`${level}/memory.stat`, 'inactive_file'), oomKills)
  }
  return { cpu, memory }
}

function openVersion1({ cgroup, proc, cores }: CgroupRoots): Cgroup {
  const levels = (controller: string) => {
    const mount = [`${cgroup}/${controller}`, `${cgroup}/cpu,cpuacct`].find((path) => existsSync(path))
    return levelsOf(mount ?? `${cgroup}/${controller}`, ownPath(proc, controller))
  }
  const [cpuLevels, usageLevels, memoryLevels] = [levels('cpu'), levels('cpuacct'), levels('memory')]
  const cpu = (): CpuAccount => {
    const quotas = cpuLevels.map((level, depth) => {
      const period = readNumber(`${level}/cpu.cfs_period_us`)
      const quota = readNumber(`${level}/cpu.cfs_quota_us`)
      return { level, depth, quota: quota === null || !period ? null : quota / period }
    })
    const tightest = smallest(quotas, ({ quota }) => quota ?? Number.POSITIVE_INFINITY)
    const usage = readNumber(`${usageLevels[tightest.depth] ?? usageLevels[0]}/cpuacct.usage`)
    return {
      cores: Math.min(tightest.quota ?? cores, cores),
      usedSeconds: scaled(usage, 1e9) ?? hostCpuSeconds(proc),
      throttledSeconds: scaled(readEntry(`${tightest.level}/cpu.stat`, 'throttled_time'), 1e9),
    }
  }
  const memory = (): MemoryAccount => {
    const oomKills = readEntry(`${memoryLevels[0]}/memory.oom_control`, 'oom_kill')
    const limits = memoryLevels.map((level) => ({ level, limit: readNumber(`${level}/memory.limit_in_bytes`) }))
    const { level, limit } = smallest(limits, (each) => each.limit ?? Number.POSITIVE_INFINITY)
    const current = readNumber(`${level}/memory.usage_in_bytes`)
    return limitedMemory(proc, limit, current, readEntry(`${level}/memory.stat`, 'total_inactive_file'), oomKills)
  }
  return { cpu, memory }
}

/** The path of this process in a hierarchy; of the root where it is named from outside of what this process sees. */
function ownPath(proc: string, controller: string): string {
  for (const line of (readText(`${proc}/self/cgroup`) ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    if (controllers?.split(',').includes(controller) && path !== undefined) return path.includes('/..') ? '' : path
  }
  return ''
}

/** The directories of a group and of those around it, the innermost first. A container sees its own as the root. */
function levelsOf(mount: string, path: string): readonly [string, ...string[]] {
  const names = path.split('/').filter((name) => name !== '')
  const inner = names.map((_, index) => `${mount}/${names.slice(0, names.length - index).join('/')}`)
  const [first, ...others] = [...inner.filter((directory) => existsSync(directory)), mount]
  return [first ?? mount, ...others]
}

/** `max 100000`, `150000 100000`: cores; `null` for no limit. */
function quotaOf(text: string | null): number | null {
  const [, quota, period] = /^(\d+) (\d+)$/.exec(text ?? '') ?? []
  return quota === undefined || !Number(period) ? null : Number(quota) / Number(period)
}

/** The innermost one where several are alike. */
function smallest<T>(items: readonly T[], sizeOf: (item: T) => number): T {
  return items.reduce((best, item) => (sizeOf(item) < sizeOf(best) ? item : best))
}

const scaled = (value: number | null, perUnit: number): number | null => (value === null ? null : value / perUnit)

/** Of a group with a limit below the memory of the host; else of the host, whose memory is then what can run out. */
function limitedMemory(
  proc: string,
  limit: number | null,
  current: number | null,
  inactiveFile: number | null,
  oomKills: number | null,
): MemoryAccount {
  const kilobytes = (key: string) => (readEntry(`${proc}/meminfo`, key) ?? 0) * 1024
  const hostBytes = kilobytes('MemTotal')
  if (limit !== null && current !== null && (hostBytes === 0 || limit < hostBytes)) {
    return { totalBytes: limit, usedBytes: Math.max(0, current - (inactiveFile ?? 0)), oomKills }
  }
  return { totalBytes: hostBytes, usedBytes: Math.max(0, hostBytes - kilobytes('MemAvailable')), oomKills }
}

/** Ticks of `/proc/stat`, which are a hundredth of a second for every program (USER_HZ). */
const TICKS_PER_SECOND = 100

function hostCpuSeconds(proc: string): number | null {
  const line = (readText(`${proc}/stat`) ?? '').split('\n', 1)[0] ?? ''
  const [user, nice, system, , , irq, softirq] = line.split(/\s+/).slice(1).map(Number)
  const ticks = [user, nice, system, irq, softirq]
  return line.startsWith('cpu ') && ticks.every(Number.isFinite)
    ? ticks.reduce<number>((sum, value) => sum + (value ?? 0), 0) / TICKS_PER_SECOND
    : null
}
