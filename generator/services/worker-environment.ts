import type { PlannedGpu } from '../../schema/plan.ts'
import { reachableAddress } from '../plan/addresses.ts'
import type { PlanContext } from './service-type.ts'

export interface WorkerIdentity {
  readonly workerId: string
  readonly connectors: readonly string[]
  readonly directory: string
}

/**
 * Environment of the worker of one GPU, without its secrets: every name that a worker of either generation reads, and
 * what the first machines wrote for it. Both families of names are given, `WORKER_COMFYUI_PORT` and `COMFYUI_PORT`:
 * the older workers read the first, the newer ones the second.
 */
export function workerEnvironment(
  context: PlanContext,
  gpu: PlannedGpu,
  worker: WorkerIdentity,
): Record<string, string> {
  return {
    WORKER_ID: worker.workerId,
    MACHINE_ID: context.settings.machine.id,
    GPU_ID: String(gpu.index),
    NODE_ENV: 'production',
    LOG_LEVEL: 'info',
    // The machine registers its workers and publishes their state itself.
    UNIFIED_MACHINE_STATUS: 'true',
    STANDALONE_MODE: 'false',
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    CUDA_VISIBLE_DEVICES: gpu.device,
    ...hardware(gpu),
    ...connectors(worker.connectors),
    ...comfyuiAddress(context, gpu),
    ...automatic1111Address(context, gpu),
    ...ollamaAddress(context),
    ...TIMING,
  }
}

/** Names that the newest workers and the first ones use for the same numbers. */
const TIMING: Record<string, string> = {
  WORKER_POLL_INTERVAL_MS: '1000',
  POLL_INTERVAL_MS: '1000',
  WORKER_HEARTBEAT_INTERVAL_MS: '30000',
  WORKER_HEARTBEAT_INTERVAL: '20',
  WORKER_JOB_TIMEOUT_MINUTES: '30',
  JOB_TIMEOUT_MINUTES: '30',
  WORKER_HEALTH_CHECK_INTERVAL_MS: '30000',
  HEALTH_CHECK_INTERVAL_MS: '30000',
  WORKER_WEBSOCKET_INACTIVITY_TIMEOUT_MS: '30000',
  WEBSOCKET_INACTIVITY_TIMEOUT_MS: '30000',
  WORKER_LOG_LEVEL: 'INFO',
}

function hardware(gpu: PlannedGpu): Record<string, string> {
  const memory = String(gpu.memoryGB)
  return {
    GPU_MEMORY_GB: memory,
    WORKER_GPU_MEMORY_GB: memory,
    GPU_MODEL: gpu.model,
    WORKER_GPU_MODEL: gpu.model,
  }
}

/** Service names of connectors, where they differ: Wj lists connectors, Wh takes one worker type. */
function connectors(names: readonly string[]): Record<string, string> {
  const list = names.join(',')
  const type = names.includes('comfyui') && names.includes('a1111') ? 'emprops-app' : (names[0] ?? '')
  return {
    WORKER_CONNECTORS: list,
    WORKER_SERVICES: list,
    ...(type === '' ? {} : { WORKERS: `${type}:1`, CONNECTORS: type }),
  }
}

function comfyuiAddress(context: PlanContext, gpu: PlannedGpu): Record<string, string> {
  const settings = context.settings.services.comfyui
  if (!settings?.enabled) return {}
  const index = settings.perGpu ? gpu.index : 0
  const port = String(settings.basePort + index * settings.portIncrement + context.portOffset)
  const host = reachableAddress(settings.listen)
  return {
    WORKER_COMFYUI_HOST: host,
    COMFYUI_HOST: host,
    WORKER_COMFYUI_PORT: port,
    COMFYUI_PORT: port,
    WORKER_COMFYUI_SECURE: 'false',
    COMFYUI_SECURE: 'false',
    WORKER_COMFYUI_USERNAME: '',
    WORKER_COMFYUI_PASSWORD: '',
    WORKER_COMFYUI_TIMEOUT_SECONDS: '300',
    COMFYUI_TIMEOUT_SECONDS: '300',
    WORKER_COMFYUI_MAX_CONCURRENT_JOBS: '1',
    COMFYUI_MAX_CONCURRENT_JOBS: '1',
  }
}

function automatic1111Address(context: PlanContext, gpu: PlannedGpu): Record<string, string> {
  const settings = context.settings.services.automatic1111
  if (!settings?.enabled) return {}
  const index = settings.perGpu ? gpu.index : 0
  const port = String(settings.basePort + index * settings.portIncrement + context.portOffset)
  const host = reachableAddress(settings.listen)
  return {
    WORKER_A1111_HOST: host,
    A1111_HOST: host,
    WORKER_A1111_PORT: port,
    A1111_PORT: port,
    WORKER_A1111_TIMEOUT_SECONDS: '300',
    A1111_TIMEOUT_SECONDS: '300',
    WORKER_A1111_MAX_CONCURRENT_JOBS: '1',
    A1111_MAX_CONCURRENT_JOBS: '1',
  }
}

function ollamaAddress(context: PlanContext): Record<string, string> {
  const settings = context.settings.services.ollama
  if (!settings?.enabled) return {}
  return {
    OLLAMA_HOST: reachableAddress(settings.listen),
    OLLAMA_PORT: String(settings.port + context.portOffset),
    OLLAMA_DEFAULT_MODEL: settings.models[0] ?? '',
  }
}
