import type { PlannedProvisioning, PlannedService, PlannedSsh } from '../../schema/plan.ts'
import type { PlanContext, ServiceDraft } from './service-type.ts'
import { planLogs } from './supervision.ts'

/** What is special to one of the machine's own tasks. */
export interface TaskSpec {
  /** Name of the service, of the task that `machine-provision` knows, and the key that services depend on. */
  readonly name: string
  /** Where in the machine file it comes from. */
  readonly pointer: string
  /** The machine is healthy while it works, or fails. */
  readonly optional: boolean
  /** Keys of services that must be ready first. */
  readonly dependsOn?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** It goes on for ever: started again for ever too, and nothing waits for it. */
  readonly isLasting?: boolean
  /** Where it need not be tried for hours. */
  readonly restart?: PlannedService['restart']
}

/**
 * A task fails for reasons that pass (a host is away, the disk is full): it is tried again for some hours, since nobody
 * else does it, with pauses in which nothing is lost.
 */
const RESTART = { maxAttempts: 50, windowMs: 6 * 3_600_000, backoff: { initialMs: 5000, maxMs: 300_000, factor: 2 } }

/** Missing keys and programs do not come by themselves: soon it says that it has failed, and why. */
const SSH_RESTART = { maxAttempts: 3, windowMs: 600_000, backoff: { initialMs: 1000, maxMs: 10_000, factor: 2 } }

/** It ends at once when it is told to; what it has done so far counts. */
const STOP = { signal: 'SIGTERM', timeoutMs: 2000 }

const LOGS = { maxSize: '5MB', maxFiles: 5 }

/** Bytes go through a few fixed buffers, and none of them through the heap. */
const HEAP_FLAGS = ['--max-old-space-size=96', '--max-semi-space-size=4']

/** The service of a provisioning task: a program that runs to its success, supervised like any other. */
export function draftTask(context: PlanContext, spec: TaskSpec): ServiceDraft {
  const { name, pointer, optional } = spec
  const { node, paths } = context
  const program = [node, ...HEAP_FLAGS, `${paths.programs}/provision.js`]
  return {
    service: {
      name,
      type: 'provision',
      key: name,
      gpu: null,
      kind: spec.isLasting ? 'longrun' : 'task',
      command: [...program, name, '--plan', `${paths.config}/plan.json`],
      workingDirectory: null,
      requiredFiles: [],
      user: null,
      environment: spec.environment ?? {},
      secretEnvironment: {},
      threadShare: null,
      listen: null,
      address: null,
      port: null,
      probe: spec.isLasting ? { kind: 'uptime', graceMs: 1000 } : { kind: 'task' },
      waitsFor: [],
      stopsBefore: [],
      restart: spec.restart ?? RESTART,
      startupTimeoutMs: 60_000,
      liveness: { intervalMs: 10_000, timeoutMs: 5000, failures: 3 },
      stop: STOP,
      onDependencyRestart: 'keep',
      optional,
      logs: planLogs(context, name, LOGS),
      readiness: null,
      workerId: null,
    },
    dependsOn: (spec.dependsOn ?? []).map((key) => ({ key, pointer: null })),
    claims: [],
    routes: [],
    directories: [],
    memory: null,
    provenance: () => ({ command: { pointer }, 'logs.directory': { pointer: '/paths/logs' } }),
  }
}

/** The tasks that a machine has: one with nothing to do does not exist. */
export function draftTasks(
  context: PlanContext,
  provisioning: PlannedProvisioning,
  ssh: PlannedSsh | null,
): ServiceDraft[] {
  const { models, customNodes, workflows, workerPackage } = provisioning
  const specs: TaskSpec[] = []
  if (models.some(({ when }) => when === 'before-start')) {
    specs.push({ name: 'models', pointer: '/models', optional: false })
  }
  if (models.some(({ when }) => when === 'background')) {
    // What services wait for has the line to itself.
    specs.push({ name: 'models-background', pointer: '/models', optional: true, dependsOn: ['models'] })
  }
  if (customNodes !== null) specs.push({ name: 'custom-nodes', pointer: '/customNodes', optional: false })
  if (workerPackage !== null) {
    const optional = context.settings.services.redisWorker?.optional ?? false
    specs.push({ name: 'worker-package', pointer: '/services/redisWorker/downloadUrl', optional })
  }
  if (workflows !== null) {
    specs.push({ name: 'workflows', pointer: '/workflows', optional: true })
    if (workflows.intervalMs !== null)
      specs.push({ name: 'workflows-sync', pointer: '/workflows', optional: true, isLasting: true })
  }
  if (provisioning.ollamaModels.length > 0) {
    specs.push({ name: 'ollama-models', pointer: '/services/ollama/models', optional: true, dependsOn: ['ollama'] })
  }
  if (ssh !== null) specs.push({ name: 'ssh-access', pointer: '/access/ssh', optional: true, restart: SSH_RESTART })
  if (provisioning.verification !== null)
    specs.push({ name: 'verify', pointer: '/provisioning/verify', optional: true })
  return specs.map((spec) => draftTask(context, spec))
}

/** Names that tasks have, now or on the next machine: no service of a user can be called that. */
export const TASK_NAMES = [
  'models',
  'models-background',
  'custom-nodes',
  'worker-package',
  'ollama-models',
  'workflows',
  'workflows-sync',
  'ssh-access',
  'verify',
] as const
