import type { PlannedWorkerPackage } from '../../../schema/plan.ts'
import type { ProvisionTask, TaskContext, TaskOutcome } from '../framework/task.ts'
import { openTaskState, type TaskState } from '../framework/task-state.ts'
import { ITEM } from './fetch-package.ts'
import { installPackage, isPackageRecord, type PackageRecord, sourceOf } from './install-package.ts'
import { openVersions, type PackageVersions } from './package-versions.ts'
import { rollWorkers } from './roll-workers.ts'

/**
 * - `provision`: the version that the machine file asks for is there; one that came from the same source stays
 * - `update`: the newest that the source has, and the workers run it
 * - `rollback`: the version before, and the workers run it
 */
export type PackageOrder = 'provision' | 'update' | 'rollback'

/** What a run works with. */
interface Work {
  readonly context: TaskContext
  readonly wanted: PlannedWorkerPackage
  readonly versions: PackageVersions
  readonly state: TaskState<PackageRecord>
}

/** The package of the job workers: one for all GPUs, switched in one step. */
export function workerPackageTask(order: PackageOrder): ProvisionTask {
  const open = (context: TaskContext): Work | null => {
    const wanted = context.plan.provisioning.workerPackage
    if (wanted === null) return null
    const state = openTaskState(context.plan.paths, 'worker-package', isPackageRecord)
    return { context, wanted, versions: openVersions(wanted), state }
  }
  return {
    preview: async (context) => {
      const work = open(context)
      return work === null ? [NOTHING] : [preview(work, order)]
    },
    run: async (context) => {
      const work = open(context)
      if (work === null) return { failures: [], warnings: order === 'provision' ? [] : [NOTHING] }
      context.report.phase('checking')
      if (order === 'rollback') return rollBack(work)
      return order === 'update' ? update(work) : provide(work)
    },
  }
}

const NOTHING = 'this machine has no worker package'

function preview({ wanted, versions, state }: Work, order: PackageOrder): string {
  const current = versions.current()
  const previous = versions.previous()
  if (order === 'rollback') {
    return previous === null ? 'nothing: there is no version before' : `go back to "${previous}"`
  }
  const isKept = order === 'provision' && current !== null && isWanted(wanted, state.get(current))
  return isKept ? `keep "${current}"` : `fetch ${sourceOf(wanted)} to "${wanted.directory}"`
}

function isWanted(wanted: PlannedWorkerPackage, record: PackageRecord | undefined): boolean {
  if (record?.source !== sourceOf(wanted)) return false
  return wanted.sha256 === null || wanted.sha256 === record.sha256
}

async function provide(work: Work): Promise<TaskOutcome> {
  const { wanted, versions, state, context } = work
  const current = versions.current()
  const record = current === null ? undefined : state.get(current)
  // What is on the machine is looked at each time: that is what a local package is for.
  if (current !== null && isWanted(wanted, record) && wanted.localPath === null) return keep(work, current)
  try {
    const installed = await install(work, isWanted(wanted, record) ? (record ?? null) : null)
    if (installed === 'unchanged') return keep(work, current!)
    context.report.settle(ITEM, current === null ? 'ok' : 'changed', installed.name)
    return { failures: [], warnings: trustWarnings(wanted), facts: factsOf(installed.name, true) }
  } catch (error) {
    const problem = describe(wanted, error)
    // A hash is a promise: nothing else runs. Without one, yesterday's version is better than none.
    if (current === null || wanted.sha256 !== null) return fail(work, problem)
    context.report.settle(ITEM, 'skipped', `"${current}" stays`)
    return { failures: [], warnings: [`${problem}; "${current}" stays`], facts: factsOf(current, false) }
  }
}

async function update(work: Work): Promise<TaskOutcome> {
  const { wanted, versions, state, context } = work
  const current = versions.current()
  const record = current === null ? undefined : state.get(current)
  try {
    const installed = await install(work, isWanted(wanted, record) ? (record ?? null) : null)
    if (installed === 'unchanged' || installed.name === current) {
      keep(work, current!)
      // An update that was killed may have switched, and left workers as they were.
      return roll(work, current!, [], true)
    }
    context.report.settle(ITEM, 'changed', installed.name)
    return roll(work, installed.name, trustWarnings(wanted), false)
  } catch (error) {
    return fail(work, describe(wanted, error))
  }
}

async function rollBack(work: Work): Promise<TaskOutcome> {
  const { wanted, versions, context } = work
  const previous = versions.previous()
  if (previous === null) return fail(work, 'cannot go back: there is no version before the current one')
  if (wanted.sha256 !== null) {
    return fail(work, 'cannot go back: the machine file asks for one version by its sha256; change that')
  }
  versions.switchTo(previous)
  context.report.settle(ITEM, 'changed', previous)
  return roll(work, previous, [], false)
}

/** Installs what the source has and makes it the current version. */
async function install({ context, wanted, versions, state }: Work, known: PackageRecord | null) {
  const installed = await installPackage(context, wanted, versions, known)
  if (installed === 'unchanged') return installed
  // Before the switch: a current version always has its record.
  state.set(installed.name, installed.record)
  versions.switchTo(installed.name)
  for (const [name] of state.entries()) if (!versions.has(name)) state.set(name, null)
  return installed
}

function keep({ context }: Work, current: string): TaskOutcome {
  context.report.settle(ITEM, 'skipped', `"${current}" is there`)
  return { failures: [], warnings: [], facts: factsOf(current, false) }
}

async function roll(
  { context, wanted }: Work,
  name: string,
  warnings: readonly string[],
  onlyStale: boolean,
): Promise<TaskOutcome> {
  const { plan, report } = context
  const workers = plan.services.filter(({ type }) => type === 'redis-worker')
  report.expect({ items: workers.length + 1 })
  report.phase('restarting workers')
  const problem = await rollWorkers(plan, {
    versions: `${wanted.directory}/versions`,
    wanted: name,
    onlyStale,
    note: report.note,
    onDone: (worker, failure) => report.settle(worker, failure === null ? 'ok' : 'failed', failure ?? undefined),
  })
  return { failures: problem === null ? [] : [problem], warnings, facts: factsOf(name, !onlyStale) }
}

function fail({ context }: Work, problem: string): TaskOutcome {
  context.report.settle(ITEM, 'failed', problem)
  return { failures: [problem], warnings: [] }
}

const factsOf = (version: string, changed: boolean) => ({ version, changed })

function describe(wanted: PlannedWorkerPackage, error: unknown): string {
  const verb = wanted.localPath === null ? 'download' : 'take'
  return `cannot ${verb} the worker package "${sourceOf(wanted)}": ${(error as Error).message}`
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/** What is run on the machine should be what somebody meant to run there. */
function trustWarnings({ url, sha256, localPath }: PlannedWorkerPackage): string[] {
  const { protocol, hostname, host } = new URL(url)
  if (localPath !== null || sha256 !== null || protocol === 'https:' || LOOPBACK.has(hostname)) return []
  return [`the worker package came from ${host} without TLS: give its sha256, or anybody on the way can change it`]
}
