import type { RedisWorker } from '../../schema/machine.ts'
import type { PlannedGpu, PlannedWorkerPackage } from '../../schema/plan.ts'
import { instanceGpus } from './gpu-instances.ts'
import { simulated } from './gpu-service.ts'
import { type EnvironmentOf, PINNING_VARIABLES, readEnvironment } from './program.ts'
import type { PlanContext, ServiceDraft, ServiceKind } from './service-type.ts'
import { planSupervision, supervisionProvenance } from './supervision.ts'
import { WORKER_BOOT_VARIABLES, type WorkerEnvironment, workerEnvironment } from './worker-environment.ts'

/** A worker says in Redis that it is ready; one that does not counts as ready when it has run for this long. */
const UPTIME_GRACE_MS = 2000

/** What the program is called in the package, and by what name every version of the package has it. */
const ENTRY_NAME = 'redis-direct-worker.js'
const ENTRY_LINK = '.machinegen-entry'

/** What the workers run; `null` where there are none, where they bring their own program, and for stand-ins. */
export function planWorkerPackage(context: PlanContext): PlannedWorkerPackage | null {
  const settings = context.settings.services.redisWorker
  if (settings?.enabled !== true || settings.command !== undefined || context.simulate) return null
  if (instanceGpus(context, settings.perGpu).length === 0) return null
  return {
    url: settings.downloadUrl,
    localPath: settings.localPath === undefined ? null : context.place(settings.localPath),
    sha256: settings.sha256?.toLowerCase() ?? null,
    directory: context.place(settings.directory),
    entryName: ENTRY_NAME,
    entryLink: ENTRY_LINK,
  }
}

export const redisWorker: ServiceKind<'redisWorker'> = {
  key: 'redisWorker',
  type: 'redis-worker',
  ownedFlags: [],
  ownedVariables: [
    ...PINNING_VARIABLES,
    'WORKER_ID',
    'MACHINE_ID',
    'HUB_REDIS_URL',
    'WORKER_WEBSOCKET_AUTH_TOKEN',
    'WEBSOCKET_AUTH_TOKEN',
    'WORKER_COMFYUI_HOST',
    'WORKER_COMFYUI_PORT',
    'COMFYUI_HOST',
    'COMFYUI_PORT',
    'WORKER_A1111_HOST',
    'WORKER_A1111_PORT',
    'A1111_HOST',
    'A1111_PORT',
  ],
  expand: (context) => {
    const settings = context.settings.services.redisWorker
    if (settings === undefined) return []
    const gpus = instanceGpus(context, settings.perGpu)
    if (gpus.length === 0) return []
    const alike = planAlike(context, settings)
    return gpus.map((gpu) => draftWorker(context, settings, gpu, alike))
  },
}

/** `<machine>-worker-<gpu>`: the one form that the job API, the monitor and the workers all parse. */
export function workerId(machineId: string, gpu: number): string {
  return `${machineId}-worker-${gpu}`
}

/** What all workers share. */
interface Alike {
  readonly directory: string
  readonly workers: WorkerEnvironment
  readonly environmentOf: EnvironmentOf
  readonly bootSecrets: Readonly<Record<string, string>>
  readonly jobQueueSecrets: Readonly<Record<string, string>>
}

function planAlike(context: PlanContext, settings: RedisWorker): Alike {
  return {
    directory: context.place(settings.directory),
    workers: workerEnvironment(context, connectorsOf(context, settings)),
    environmentOf: readEnvironment(context, redisWorker, 'redisWorker', settings.env),
    bootSecrets: bootVariables(context, settings),
    jobQueueSecrets: jobQueueSecrets(context),
  }
}

function draftWorker(context: PlanContext, settings: RedisWorker, gpu: PlannedGpu, alike: Alike): ServiceDraft {
  const name = `redis-worker-gpu${gpu.index}`
  const { directory, workers } = alike
  const home = settings.command === undefined ? `${directory}/current` : directory
  const program = `${home}/${ENTRY_LINK}`
  const id = workerId(context.settings.machine.id, gpu.index)
  const environment = alike.environmentOf(workers.ownOf(gpu, id), workers.alike)
  return {
    service: {
      name,
      type: 'redis-worker',
      key: 'redisWorker',
      gpu: gpu.index,
      kind: 'longrun',
      ...simulated(context, 'redis-worker', name, gpu, {
        command: [...(settings.command ?? ['node', program]), ...settings.args],
        flags: settings.args,
        workingDirectory: home,
        requiredFiles: settings.command === undefined ? [program] : [],
        environment: environment.environment,
      }),
      user: settings.user ?? null,
      secretEnvironment: {
        ...alike.bootSecrets,
        ...environment.secretEnvironment,
        ...alike.jobQueueSecrets,
      },
      threadShare: null,
      listen: null,
      address: null,
      port: null,
      probe: { kind: 'uptime', graceMs: UPTIME_GRACE_MS },
      waitsFor: [],
      stopsBefore: [],
      ...planSupervision(context, name, settings),
      readiness: null,
      workerId: id,
    },
    dependsOn: dependenciesOf(settings),
    claims: [],
    routes: [],
    directories: [`${context.paths.workspace}/worker_gpu${gpu.index}`, directory],
    memory: null,
    provenance: () => ({
      workerId: { pointer: '/machine/id', note: `+ "-worker-${gpu.index}"` },
      workingDirectory: { pointer: '/services/redisWorker/directory' },
      'environment.WORKER_CONNECTORS': { pointer: '/services/redisWorker/connectors' },
      'environment.WORKER_GPU_MEMORY_GB': { pointer: '/machine/gpu/memoryGB' },
      'environment.WORKER_GPU_MODEL': { pointer: '/machine/gpu/model' },
      'secretEnvironment.HUB_REDIS_URL': { pointer: '/redis/url' },
      'secretEnvironment.WORKER_WEBSOCKET_AUTH_TOKEN': { pointer: '/redis/authToken' },
      ...supervisionProvenance('/services/redisWorker'),
    }),
  }
}

function jobQueueSecrets(context: PlanContext): Record<string, string> {
  const { redis } = context.settings
  const url = context.secret('/redis/url', 'redis-url', redis.url)
  const token = context.secret('/redis/authToken', 'redis-auth-token', redis.authToken)
  return {
    ...(url === null ? {} : { HUB_REDIS_URL: url }),
    ...(token === null ? {} : { WORKER_WEBSOCKET_AUTH_TOKEN: token, WEBSOCKET_AUTH_TOKEN: token }),
  }
}

/** The user's own value of a variable wins, wherever it is kept. */
function bootVariables(context: PlanContext, settings: RedisWorker): Record<string, string> {
  return Object.fromEntries(
    Object.entries(WORKER_BOOT_VARIABLES).flatMap(([variable, template]) => {
      if (Object.hasOwn(settings.env, variable)) return []
      const name = context.secret('/services/redisWorker', `redisWorker.${variable}`, template)
      return name === null ? [] : [[variable, name]]
    }),
  )
}

function dependenciesOf(settings: RedisWorker): ServiceDraft['dependsOn'] {
  const own = settings.dependsOn?.map((key, index) => ({ key, pointer: `/services/redisWorker/dependsOn/${index}` }))
  const usual = ['comfyui', 'automatic1111'].map((key) => ({ key, pointer: null }))
  return [{ key: 'worker-package', pointer: null }, ...(own ?? usual)]
}

/** Connector names of the job queue for the services of this machine. */
function connectorsOf(context: PlanContext, settings: RedisWorker): readonly string[] {
  if (settings.connectors.length > 0) return settings.connectors
  const { comfyui, automatic1111, ollama } = context.settings.services
  return [
    ...(comfyui?.enabled ? ['comfyui'] : []),
    ...(automatic1111?.enabled ? ['a1111'] : []),
    ...(ollama?.enabled ? ['ollama'] : []),
  ]
}
