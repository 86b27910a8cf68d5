import type { PlannedGpu } from '../../schema/plan.ts'
import { bindAddress, reachableAddress } from '../plan/addresses.ts'
import type { PlanContext } from './service-type.ts'

export interface WorkerEnvironment {
  /** What all workers of the machine have alike. */
  readonly alike: Readonly<Record<string, string>>
  readonly ownOf: (gpu: PlannedGpu, workerId: string) => Readonly<Record<string, string>>
}

/**
 * Environment of the worker of one GPU, without its secrets: what workers of all generations read, and what the first
 * machines wrote for them (docs/decisions/0005-worker-environment.md). Names come in pairs, `WORKER_COMFYUI_PORT` and
 * `COMFYUI_PORT`: the older workers read the first, the newer ones the second.
 *
 * @param connectors Names of connectors, of all workers of the machine.
 */
export function workerEnvironment(context: PlanContext, connectors: readonly string[]): WorkerEnvironment {
  const alike = {
    MACHINE_ID: context.settings.machine.id,
    NODE_ENV: 'production',
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    ...MODE,
    // The machine registers its workers and publishes their state itself, unless it says none of that.
    UNIFIED_MACHINE_STATUS: String(context.settings.redis.announcements.machineStatus),
    ...LOGGING,
    ...SIMULATION,
    ...inPairs(TIMING),
    WORKER_HEARTBEAT_INTERVAL: '20',
    ...connectorNames(connectors),
    ...inPairs(comfyuiSettings(context)),
    ...inPairs(automatic1111Settings(context)),
    ...ollamaSettings(context),
  }
  const ownOf = (gpu: PlannedGpu, workerId: string) => ({
    WORKER_ID: workerId,
    GPU_ID: String(gpu.index),
    CUDA_VISIBLE_DEVICES: gpu.device,
    WORKER_GPU_MEMORY_GB: String(gpu.memoryGB),
    GPU_MEMORY_GB: String(gpu.memoryGB),
    WORKER_GPU_MODEL: gpu.model,
    GPU_MODEL: gpu.model,
    ...portsOf(context, gpu),
  })
  return { alike, ownOf }
}

/**
 * What only the environment at boot can say, as templates by variable: the job API of the first workers, and the memory
 * of the host. The fallbacks are those of the first machines.
 */
export const WORKER_BOOT_VARIABLES: Readonly<Record<string, string>> = {
  WORKER_REDIS_API_HOST: '${WORKER_REDIS_API_HOST:-}',
  WORKER_REDIS_API_PORT: '${WORKER_REDIS_API_PORT:-}',
  WORKER_USE_SSL: '${WORKER_USE_SSL:-true}',
  WORKER_RAM_GB: '${WORKER_RAM_GB:-${MACHINE_RAM_GB:-8}}',
}

/** Their package is the one in `directory`. */
const MODE: Readonly<Record<string, string>> = {
  STANDALONE_MODE: 'false',
  USE_LOCAL_WORKER: 'false',
  // Its port would be the same for every worker of the machine.
  WORKER_DASHBOARD_ENABLED: 'false',
}

const LOGGING: Readonly<Record<string, string>> = { LOG_LEVEL: 'info', WORKER_LOG_LEVEL: 'INFO' }

/** For a machine whose connectors have `simulation`. A tenth of its jobs would fail by the worker's own default. */
const SIMULATION: Readonly<Record<string, string>> = {
  WORKER_SIMULATION_JOB_TYPE: 'simulation',
  WORKER_SIMULATION_PROCESSING_TIME: '10',
  WORKER_SIMULATION_STEPS: '5',
  WORKER_SIMULATION_PROGRESS_INTERVAL_MS: '200',
  WORKER_SIMULATION_FAILURE_RATE: '0',
  WORKER_SIMULATION_HEALTH_CHECK_FAILURE_RATE: '0',
}

const TIMING: Readonly<Record<string, string>> = {
  POLL_INTERVAL_MS: '1000',
  HEARTBEAT_INTERVAL_MS: '30000',
  JOB_TIMEOUT_MINUTES: '30',
  HEALTH_CHECK_INTERVAL_MS: '30000',
  WEBSOCKET_INACTIVITY_TIMEOUT_MS: '30000',
}

function inPairs(settings: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => [
      [`WORKER_${name}`, value],
      [name, value],
    ]),
  )
}

/** Wj lists connectors; Wh takes one worker type of its service mapping. */
function connectorNames(names: readonly string[]): Record<string, string> {
  const list = names.join(',')
  const type = names.includes('comfyui') && names.includes('a1111') ? 'emprops-app' : (names[0] ?? '')
  return {
    WORKER_CONNECTORS: list,
    WORKER_SERVICES: list,
    ...(type === '' ? {} : { WORKERS: `${type}:1`, CONNECTORS: type }),
  }
}

/** One job at a time: ComfyUI and Automatic1111 run them one after the other anyway, and another worker could have it. */
const JOBS = '1'

function comfyuiSettings(context: PlanContext): Record<string, string> {
  const settings = context.settings.services.comfyui
  if (!settings?.enabled) return {}
  return {
    COMFYUI_HOST: hostOf(context, settings.listen),
    COMFYUI_SECURE: 'false',
    COMFYUI_USERNAME: '',
    COMFYUI_PASSWORD: '',
    COMFYUI_TIMEOUT_SECONDS: '300',
    COMFYUI_RETRY_ATTEMPTS: '3',
    COMFYUI_RETRY_DELAY_SECONDS: '2',
    COMFYUI_MAX_CONCURRENT_JOBS: JOBS,
    COMFYUI_HEARTBEAT_MS: '30000',
    COMFYUI_RECONNECT_DELAY_MS: '5000',
    COMFYUI_MAX_RECONNECT: '5',
  }
}

function automatic1111Settings(context: PlanContext): Record<string, string> {
  const settings = context.settings.services.automatic1111
  if (!settings?.enabled) return {}
  return {
    A1111_HOST: hostOf(context, settings.listen),
    A1111_USERNAME: '',
    A1111_PASSWORD: '',
    A1111_TIMEOUT_SECONDS: '300',
    A1111_MAX_CONCURRENT_JOBS: JOBS,
  }
}

function ollamaSettings(context: PlanContext): Record<string, string> {
  const settings = context.settings.services.ollama
  if (!settings?.enabled) return {}
  return {
    OLLAMA_HOST: hostOf(context, settings.listen),
    OLLAMA_PORT: String(settings.port + context.portOffset),
    OLLAMA_DEFAULT_MODEL: settings.models[0] ?? '',
    OLLAMA_MAX_CONCURRENT_JOBS: '2',
  }
}

interface PerGpu {
  readonly perGpu: boolean
  readonly basePort: number
  readonly portIncrement: number
}

function portsOf(context: PlanContext, gpu: PlannedGpu): Record<string, string> {
  const { comfyui, automatic1111 } = context.settings.services
  const ports: Record<string, string> = {}
  if (comfyui?.enabled) ports.WORKER_COMFYUI_PORT = ports.COMFYUI_PORT = portOf(context, comfyui, gpu)
  if (automatic1111?.enabled) ports.WORKER_A1111_PORT = ports.A1111_PORT = portOf(context, automatic1111, gpu)
  return ports
}

/** The instance on the worker's own GPU; a single one serves all workers. */
function portOf(context: PlanContext, { perGpu, basePort, portIncrement }: PerGpu, gpu: PlannedGpu): string {
  return String(basePort + (perGpu ? gpu.index : 0) * portIncrement + context.portOffset)
}

/** Workers put it into a URL as it is. */
function hostOf(context: PlanContext, listen: string): string {
  const address = reachableAddress(bindAddress(listen, context.target))
  return address.includes(':') ? `[${address}]` : address
}
