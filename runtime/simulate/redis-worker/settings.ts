/** What the job worker reads from its environment; both families of names count, as the originals' workers differ. */
import { hostname } from 'node:os'

export interface WorkerSettings {
  readonly workerId: string
  readonly machineId: string
  readonly redisUrl: string
  readonly connectors: readonly string[]
  readonly comfyUrl: string
  readonly comfyAuthorization: string | undefined
  readonly comfyTimeoutMs: number
  readonly pollMs: number
  readonly heartbeatMs: number
  readonly unifiedStatus: boolean
  readonly version: string
  readonly simulationMs: number
  readonly hardware: { readonly gpu_memory_gb: number; readonly gpu_model: string; readonly ram_gb: number }
}

type Environment = Readonly<Record<string, string | undefined>>

/** The settings, or why the worker cannot start. */
export function readSettings(environment: Environment): { settings: WorkerSettings } | { problem: string } {
  const text = (...names: string[]) => names.map((name) => environment[name]).find((value) => value)
  const number = (fallback: number, ...names: string[]) => {
    const value = Number(text(...names))
    return Number.isFinite(value) && value > 0 ? value : fallback
  }
  const workerId = text('WORKER_ID')
  if (workerId === undefined) return { problem: 'WORKER_ID environment variable is required' }
  const host = text('WORKER_COMFYUI_HOST', 'COMFYUI_HOST') ?? 'localhost'
  const port = text('WORKER_COMFYUI_PORT', 'COMFYUI_PORT') ?? '8188'
  const scheme = text('WORKER_COMFYUI_SECURE') === 'true' ? 'https' : 'http'
  const user = text('WORKER_COMFYUI_USERNAME', 'COMFYUI_USERNAME')
  const password = text('WORKER_COMFYUI_PASSWORD', 'COMFYUI_PASSWORD') ?? ''
  const connectors = text('WORKER_CONNECTORS', 'CONNECTORS') ?? 'comfyui,a1111'
  return {
    settings: {
      workerId,
      machineId: text('MACHINE_ID') ?? hostname(),
      redisUrl: text('HUB_REDIS_URL') ?? 'redis://localhost:6379',
      connectors: connectors.split(',').flatMap((entry) => entry.split(':')[0]?.trim() || []),
      comfyUrl: `${scheme}://${host}:${port}`,
      comfyAuthorization: user && `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
      comfyTimeoutMs: number(300, 'WORKER_COMFYUI_TIMEOUT_SECONDS', 'COMFYUI_TIMEOUT_SECONDS') * 1000,
      pollMs: number(1000, 'WORKER_POLL_INTERVAL_MS', 'POLL_INTERVAL_MS'),
      heartbeatMs: number(30_000, 'WORKER_HEARTBEAT_INTERVAL_MS'),
      unifiedStatus: text('UNIFIED_MACHINE_STATUS') === 'true',
      version: text('WORKER_VERSION', 'VERSION') ?? 'simulated',
      simulationMs: number(5, 'WORKER_SIMULATION_PROCESSING_TIME') * 1000,
      hardware: {
        gpu_memory_gb: number(8, 'WORKER_GPU_MEMORY_GB'),
        gpu_model: text('WORKER_GPU_MODEL') ?? 'unknown',
        ram_gb: number(8, 'WORKER_RAM_GB'),
      },
    },
  }
}
