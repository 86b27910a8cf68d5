import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { MachinePaths } from '../../schema/plan.ts'

/** The file with the id of this boot, for programs that the supervisor did not start. The sidecar writes it. */
export function bootIdFile(paths: Pick<MachinePaths, 'run'>): string {
  return `${paths.run}/boot-id`
}

/**
 * The id of this boot of the machine, as a UUID: every process below the machine's supervisor computes the same one
 * without a file, and no two boots have the same. It is made of the kernel's boot, the supervisor (the nearest s6-svscan
 * above this process, else PID 1) with its start, and the machine.
 */
export function computeBootId(machineId: string): string {
  const supervisor = findSupervisor() ?? 1
  const started = readProcess(supervisor)?.started ?? '0'
  const kernel = readText('/proc/sys/kernel/random/boot_id').trim()
  return uuidOf(`${kernel}\n${supervisor}\n${started}\n${machineId}`)
}

/** The same for a process that may not be below the supervisor: `docker exec`, a shell of an operator. */
export function readBootId(paths: Pick<MachinePaths, 'run'>, machineId: string): string {
  if (findSupervisor() !== null) return computeBootId(machineId)
  return readText(bootIdFile(paths)).trim() || computeBootId(machineId)
}

/** When this boot of the machine began, in ms since 1970: the start of its supervisor, to 10 ms. */
export function bootStartedAtMs(nowMs: number): number {
  const started = Number(readProcess(findSupervisor() ?? 1)?.started ?? Number.NaN)
  const uptime = Number(readText('/proc/uptime').split(' ', 1)[0])
  const ageMs = uptime * 1000 - started * (1000 / TICKS_A_SECOND)
  return Number.isFinite(ageMs) && ageMs >= 0 ? nowMs - ageMs : nowMs
}

/** USER_HZ: what /proc counts in, on every architecture that Node runs on. */
const TICKS_A_SECOND = 100

function findSupervisor(): number | null {
  let pid = process.pid
  while (pid > 0) {
    const found = readProcess(pid)
    if (found === null) return null
    if (found.name === 's6-svscan') return pid
    pid = found.parent
  }
  return null
}

interface ProcessFacts {
  readonly name: string
  readonly parent: number
  /** Clock ticks since the kernel's boot; with the pid the identity of a process. */
  readonly started: string
}

function readProcess(pid: number): ProcessFacts | null {
  const stat = readText(`/proc/${pid}/stat`)
  const [nameStart, nameEnd] = [stat.indexOf('('), stat.lastIndexOf(')')]
  if (nameEnd < 0) return null
  const fields = stat.slice(nameEnd + 2).split(' ')
  return { name: stat.slice(nameStart + 1, nameEnd), parent: Number(fields[1]), started: fields[19] ?? '0' }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** A UUID of version 8, whose bits are the maker's own. */
function uuidOf(text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
