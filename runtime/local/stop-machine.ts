import { readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Plan, PlannedService } from '../../schema/plan.ts'
import { createObserver, type ServiceObservation, serviceDirectory } from '../shared/observe-service.ts'
import { CONTROL, isScanned, isSupervised, sendControl, sendScannerControl } from '../shared/service-control.ts'
import { nextToStop } from '../shared/stop-order.ts'
import { findTreeProcesses } from './tree-processes.ts'

/** How often the state of stopping services is read: a few hundred bytes each. */
const POLL_MS = 15

/** What s6-supervise grants `finish` (its timeout-finish), and some time to note the death. */
const FINISH_ALLOWANCE_MS = 7000

/** For supervisors and loggers to end once their services are down: they have nothing left to do but read the rest. */
const TREE_END_TIMEOUT_MS = 5000

/** The sidecar says goodbye while everything still works; a signal reaches it within a few milliseconds. */
const FAREWELL_PAUSE_MS = 30

export type Report = (line: string) => void

/**
 * Stops a machine in order and leaves no process: the sidecar is told first, then every service as soon as all that stops
 * before it is down, the sidecar last, then the supervisors and their loggers. Works on a machine that another process
 * started, and on what is left of one. Says on `report` what did not end by itself.
 */
export async function stopMachine(plan: Plan, report: Report): Promise<void> {
  const farewell = sendControl(serviceDirectory(plan.paths, 'sidecar'), CONTROL.user1)
  if (farewell === 'sent') await sleep(FAREWELL_PAUSE_MS)
  const sessions = new Set<number>()
  await stopServices(plan, sessions, report)
  endSupervisors(plan.paths.services)
  await endTree(plan.paths.root, sessions, TREE_END_TIMEOUT_MS, report)
}

/** Ends everything at once, without a word to the services. */
export async function killMachine(plan: Pick<Plan, 'paths'>): Promise<void> {
  await endTree(plan.paths.root, new Set(), 0, () => {})
}

/** Whether processes of a machine run on these directories. */
export function isMachineRunning({ paths }: Pick<Plan, 'paths'>): boolean {
  return isScanned(paths.services) || findTreeProcesses(paths.root).length > 0
}

async function stopServices(plan: Plan, sessions: Set<number>, report: Report): Promise<void> {
  const observers = plan.services.map((service) => ({ service, observe: createObserver(plan.paths, service.name) }))
  const toldAtMs = new Map<string, number>()
  const down = new Set<string>()
  while (down.size < plan.services.length) {
    for (const { service, observe } of observers) {
      if (down.has(service.name)) continue
      const observation = observe()
      if (observation.status?.up) sessions.add(observation.status.pid)
      if (isDown(observation, toldAtMs.has(service.name))) down.add(service.name)
      else if (isOverdue(service, toldAtMs.get(service.name))) {
        report(`cannot stop "${service.name}": it did not end within ${service.stop.timeoutMs / 1000} s; it is killed`)
        down.add(service.name)
      }
    }
    for (const name of nextToStop(plan.services, down, new Set(toldAtMs.keys()))) {
      toldAtMs.set(name, Date.now())
      sendControl(serviceDirectory(plan.paths, name), CONTROL.down)
    }
    if (down.size < plan.services.length) await sleep(POLL_MS)
  }
}

/** A service that lies between two restarts is down only once it was told to stay so. */
function isDown({ supervised, status }: ServiceObservation, wasTold: boolean): boolean {
  if (!supervised || status === null) return true
  return status.pid === 0 && !status.wantUp && wasTold
}

function isOverdue({ stop }: PlannedService, toldAtMs: number | undefined): boolean {
  return toldAtMs !== undefined && Date.now() - toldAtMs > stop.timeoutMs + FINISH_ALLOWANCE_MS
}

/** s6-svscan ends its supervisors itself; those whose s6-svscan was killed are told one by one. */
function endSupervisors(scanDirectory: string): void {
  if (sendScannerControl(scanDirectory, 't') === 'sent') return
  for (const name of listIfThere(scanDirectory)) {
    for (const directory of [`${scanDirectory}/${name}`, `${scanDirectory}/${name}/log`]) {
      if (isSupervised(directory))
        sendControl(directory, directory.endsWith('/log') ? CONTROL.exit : CONTROL.down + CONTROL.exit)
    }
  }
}

function listIfThere(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

async function endTree(root: string, sessions: ReadonlySet<number>, patienceMs: number, report: Report): Promise<void> {
  const deadlineMs = Date.now() + patienceMs
  let remaining = findTreeProcesses(root, sessions)
  while (remaining.length > 0 && Date.now() < deadlineMs) {
    await sleep(POLL_MS)
    remaining = findTreeProcesses(root, sessions)
  }
  if (remaining.length > 0) {
    report(
      `cannot wait any longer for ${remaining.map(({ name, pid }) => `"${name}" (pid ${pid})`).join(', ')}: killed`,
    )
  }
  while (remaining.length > 0) {
    for (const { pid } of supervisorsFirst(remaining)) killIfThere(pid)
    await sleep(POLL_MS)
    remaining = findTreeProcesses(root, sessions)
  }
}

/** A supervisor that outlives its service by a moment would start it again. */
function supervisorsFirst(processes: ReturnType<typeof findTreeProcesses>): ReturnType<typeof findTreeProcesses> {
  const rank = (name: string) => (name === 's6-svscan' ? 0 : name === 's6-supervise' ? 1 : 2)
  return [...processes].sort((a, b) => rank(a.name) - rank(b.name))
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}
