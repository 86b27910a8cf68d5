import { readlinkSync, realpathSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Plan, PlannedService } from '../../../schema/plan.ts'
import { createObserver, type ServiceObservation, serviceDirectory } from '../../shared/observe-service.ts'
import { CONTROL, sendControl } from '../../shared/service-control.ts'

export interface RollOptions {
  /** Where the versions are, and the one that all shall run. */
  readonly versions: string
  readonly wanted: string
  /** Only those that are seen to run another version; else all that are not seen to run this one. */
  readonly onlyStale: boolean
  /** Hears what happens, a line each. */
  readonly note: (line: string) => void
  /** Hears how many have their result. */
  readonly onDone: (service: string, problem: string | null) => void
}

const LOOK_MS = 100

/** Pauses between two runs, clean-up and the sidecar's next look. */
const SLACK_MS = 15_000

/**
 * Has the workers run the current version, one GPU after the other: each is asked to stop, which lets it finish or give back
 * its job, and the next one's turn comes when it is ready again. The first that does not come back ends it, so that the
 * others go on as they are; its problem is what is given back, else `null`. Needs no sidecar to give orders, but one to say
 * that a worker is ready.
 */
export async function rollWorkers(
  plan: Pick<Plan, 'services' | 'paths'>,
  { versions, wanted, onlyStale, note, onDone }: RollOptions,
): Promise<string | null> {
  const workers = plan.services.filter(({ type }) => type === 'redis-worker')
  for (const worker of workers) {
    const observe = createObserver(plan.paths, worker.name)
    const seen = observe()
    if (seen.supervised && seen.givenUp !== null) {
      note(`${worker.name} was given up: it is started with this version`)
      const problem = await revive(plan, worker, observe)
      onDone(worker.name, problem)
      if (problem !== null) return problem
      continue
    }
    if (!isAtWork(seen)) {
      note(`${worker.name} does not run: it has the new version when it is started`)
      onDone(worker.name, null)
      continue
    }
    const runs = versionOf(seen.status.pid, versions)
    if (runs === wanted || (onlyStale && runs === null)) {
      onDone(worker.name, null)
      continue
    }
    note(`${worker.name} is asked to stop, and started again`)
    const problem = await restart(plan, worker, seen, observe)
    onDone(worker.name, problem)
    if (problem !== null) return problem
  }
  return null
}

/** The version that a process was started in, by its working directory: that is no link any more. */
function versionOf(pid: number, versions: string): string | null {
  try {
    const directory = readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, '')
    const root = `${realpathSync.native(versions)}/`
    return directory.startsWith(root) ? (directory.slice(root.length).split('/')[0] ?? null) : null
  } catch {
    return null
  }
}

type AtWork = ServiceObservation & { readonly status: NonNullable<ServiceObservation['status']> }

/** It runs, and is not just a `run` that waits. */
function isAtWork(seen: ServiceObservation): seen is AtWork {
  return seen.supervised && seen.status?.up === true && seen.status.wantUp && seen.waiting === null
}

async function restart(
  { paths }: Pick<Plan, 'paths'>,
  { name, stop, startupTimeoutMs }: PlannedService,
  before: AtWork,
  observe: () => ServiceObservation,
): Promise<string | null> {
  const directory = serviceDirectory(paths, name)
  const isGone = () => {
    const { status } = observe()
    return status === null || !status.up || status.pid !== before.status.pid
  }
  if (sendControl(directory, CONTROL.restart) !== 'sent')
    return `cannot restart "${name}": no supervisor looks after it`
  if (!(await within(stop.timeoutMs, isGone))) {
    sendControl(directory, CONTROL.kill)
    if (!(await within(SLACK_MS, isGone)))
      return `cannot restart "${name}": it does not end, not even when it is killed`
  }
  return awaitReadiness(name, startupTimeoutMs, observe, before.status.pid)
}

/** What has been given up has no process to end; its `run` forgets why when somebody wants it again. */
async function revive(
  { paths }: Pick<Plan, 'paths'>,
  { name, startupTimeoutMs }: PlannedService,
  observe: () => ServiceObservation,
): Promise<string | null> {
  if (sendControl(serviceDirectory(paths, name), CONTROL.up) !== 'sent') {
    return `cannot start "${name}": no supervisor looks after it`
  }
  await within(LOOK_MS * 20, () => observe().givenUp === null)
  return awaitReadiness(name, startupTimeoutMs, observe, 0)
}

async function awaitReadiness(
  name: string,
  startupTimeoutMs: number,
  observe: () => ServiceObservation,
  pidBefore: number,
): Promise<string | null> {
  const timeoutMs = startupTimeoutMs + SLACK_MS
  await within(timeoutMs, () => observe().givenUp !== null || isReadyAgain(observe(), pidBefore))
  const seen = observe()
  if (isReadyAgain(seen, pidBefore)) return null
  const how = seen.givenUp === null ? `is not ready after ${Math.round(timeoutMs / 1000)} s` : 'died too often'
  return `"${name}" ${how} with this version: the workers after it keep theirs`
}

/** Its gate is newer than its process: an older one is the last run's. */
function isReadyAgain({ status, gateOpenedAtMs }: ServiceObservation, pidBefore: number): boolean {
  if (status === null || !status.up || status.pid === pidBefore || gateOpenedAtMs === null) return false
  return gateOpenedAtMs >= status.changedAtMs
}

async function within(timeoutMs: number, condition: () => boolean): Promise<boolean> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    if (condition()) return true
    if (performance.now() > deadlineMs) return false
    await delay(LOOK_MS)
  }
}
