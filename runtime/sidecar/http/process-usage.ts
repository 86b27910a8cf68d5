import { readFileSync } from 'node:fs'

export interface ProcessUsage {
  /** Percent of one core since the last call for this process, since its start in the first one. */
  readonly cpu: number
  /** Resident bytes. */
  readonly memory: number
}

/** Ticks a second of the times in /proc; the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096

interface Sample {
  readonly atMs: number
  readonly cpuMs: number
}

/** A reader of what processes use, as PM2 told it: one process each, without its children. */
export function createUsageReader(nowMs: () => number): (pid: number) => ProcessUsage | null {
  let samples = new Map<string, Sample>()
  return (pid) => {
    const stat = readStat(pid)
    if (stat === null) return null
    const key = `${pid}@${stat.startedTicks}`
    const before = samples.get(key) ?? { atMs: bootMs() + stat.startedTicks * (1000 / TICKS_PER_SECOND), cpuMs: 0 }
    const sample = { atMs: nowMs(), cpuMs: stat.cpuMs }
    // Those of processes that have ended go with the next generation.
    if (samples.size > 1000) samples = new Map()
    samples.set(key, sample)
    const elapsedMs = Math.max(1, sample.atMs - before.atMs)
    const cpu = Math.max(0, Math.round(((sample.cpuMs - before.cpuMs) / elapsedMs) * 1000) / 10)
    return { cpu, memory: stat.residentBytes }
  }
}

function readStat(pid: number): { startedTicks: number; cpuMs: number; residentBytes: number } | null {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return null
  }
  // The name in parentheses may hold anything; what follows it begins with the third field of proc(5).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const field = (number: number) => Number(fields[number - 3])
  return {
    startedTicks: field(22),
    cpuMs: (field(14) + field(15)) * (1000 / TICKS_PER_SECOND),
    residentBytes: field(24) * PAGE_BYTES,
  }
}

function bootMs(): number {
  const uptimeSeconds = Number(readFileSync('/proc/uptime', 'latin1').split(' ', 1)[0])
  return Date.now() - uptimeSeconds * 1000
}
