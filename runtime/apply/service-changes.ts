import type { Plan, PlannedService } from '../../schema/plan.ts'

/** What a running machine has to do to become another one; each service stands in one list at most. */
export interface ServiceChanges {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  /** Services whose process would be another one, and what of it. */
  readonly restarted: readonly { readonly service: string; readonly because: readonly string[] }[]
  /** Tasks that are done and have something else to do now. */
  readonly repeated: readonly string[]
  /** Services that go on as they are, and what holds from their next start. */
  readonly later: readonly { readonly service: string; readonly because: readonly string[] }[]
  /** Loggers with another directory or rotation. */
  readonly loggers: readonly string[]
  readonly reloadsProxy: boolean
  /** It reads the plan when it starts, and no service notices its end. */
  readonly restartsSidecar: boolean
}

/** Fields that make the process; a change of any of them needs a new one. */
const PROCESS: readonly (keyof PlannedService)[] = [
  'type',
  'kind',
  'command',
  'workingDirectory',
  'user',
  'environment',
  'secretEnvironment',
  'listen',
  'port',
  'readiness',
]

/** Fields that scripts and supervisor read at a start or an end. */
const NEXT_START: readonly (keyof PlannedService)[] = ['requiredFiles', 'threadShare', 'waitsFor', 'restart', 'stop']

/**
 * The difference between the machine that runs and the one that is to run. `changedPaths`: files of the tree that are
 * written, relative to its root: some services read files beside their own definition.
 */
export function serviceChanges(before: Plan, after: Plan, changedPaths: readonly string[]): ServiceChanges {
  const old = new Map(before.services.map((service) => [service.name, service]))
  const kept = after.services.filter(({ name, type }) => old.has(name) && type !== 'sidecar')
  const names = new Set(after.services.map(({ name }) => name))
  const restarts = kept.flatMap((service) => {
    const because = [
      ...differing(old.get(service.name)!, service, PROCESS),
      ...changedFiles(service, after, changedPaths),
    ]
    return because.length === 0 ? [] : [{ service: service.name, because, kind: service.kind }]
  })
  const isRestarted = new Set(restarts.map(({ service }) => service))
  const provisioning = differs(before.provisioning, after.provisioning)
  const repeated = kept.filter(({ name, kind }) => kind === 'task' && (provisioning || isRestarted.has(name)))
  return {
    added: after.services.filter(({ name }) => !old.has(name)).map(({ name }) => name),
    removed: before.services.filter(({ name }) => !names.has(name)).map(({ name }) => name),
    restarted: restarts.filter(({ kind }) => kind !== 'task').map(({ service, because }) => ({ service, because })),
    repeated: repeated.map(({ name }) => name),
    later: kept.flatMap((service) => {
      const because = isRestarted.has(service.name) ? [] : differing(old.get(service.name)!, service, NEXT_START)
      return because.length === 0 ? [] : [{ service: service.name, because }]
    }),
    loggers: kept.filter((service) => differs(old.get(service.name)!.logs, service.logs)).map(({ name }) => name),
    reloadsProxy:
      names.has('nginx') && old.has('nginx') && changedPaths.some((path) => path.includes('machinegen/nginx/')),
    restartsSidecar: changedPaths.some((path) => SIDECAR_READS.some((end) => path.endsWith(end))),
  }
}

/** Whether anything is to be done beside writing files. */
export function isQuiet(changes: ServiceChanges): boolean {
  const { added, removed, restarted, repeated, loggers, reloadsProxy, restartsSidecar } = changes
  return (
    [added, removed, restarted, repeated, loggers].every(({ length }) => length === 0) &&
    !reloadsProxy &&
    !restartsSidecar
  )
}

const SIDECAR_READS = ['machinegen/plan.json', 'machinegen/sidecar.js']

const differs = (one: unknown, other: unknown): boolean => JSON.stringify(one) !== JSON.stringify(other)

function differing(
  before: PlannedService,
  after: PlannedService,
  fields: readonly (keyof PlannedService)[],
): readonly string[] {
  return fields.filter((field) => differs(before[field], after[field]))
}

/** Files that a service reads once, when it starts. */
function changedFiles(
  { type, command }: PlannedService,
  plan: Plan,
  changedPaths: readonly string[],
): readonly string[] {
  const isRead = (path: string): boolean =>
    (type === 'comfyui' && path.includes('machinegen/comfyui/')) ||
    (plan.simulate && path.endsWith('machinegen/simulate.js') && command.some((word) => word.endsWith('/simulate.js')))
  return changedPaths.filter(isRead)
}
