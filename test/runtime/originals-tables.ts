import type { FieldTable } from './field-flaws.ts'

const MACHINE = 'test-machine'
const BRIEF: FieldTable = { machine_id: [MACHINE], hostname: 'string' }

const CONFIG: FieldTable = {
  ...BRIEF,
  gpu_count: 'number',
  gpu_memory: 'number',
  gpu_model: 'string',
  gpu_models: 'strings',
  cpu_cores: 'number',
  ram_gb: 'number',
  services: 'strings',
}

const about = (type: string): FieldTable => ({
  event_type: [type],
  worker_id: [`${MACHINE}-startup-notifier`],
  machine_id: [MACHINE],
  timestamp: 'iso time',
})

const STEP: FieldTable = {
  step_name: 'string',
  step_data: 'object',
  elapsed_ms: 'number',
  timestamp: 'iso time',
}

/** Every field of what the first generation says on `machine:startup:events`, by the type of the event. */
export function startupTable(type: string, ports: readonly (number | null)[]): FieldTable {
  const options = { of: { gpu: [null, 0, 1], port: ports } }
  const service = (startup_time: FieldTable[string]): FieldTable => ({
    service_name: 'string',
    service_data: { of: { service_type: 'string', options, startup_time } },
    elapsed_ms: 'number',
    machine_config: { of: BRIEF },
  })
  const tables: Record<string, FieldTable> = {
    machine_startup: {
      ...about('machine_startup'),
      phase: ['starting', 'configuring', 'ready'],
      elapsed_ms: 'number',
      host_info: {
        of: {
          hostname: 'string',
          os: /^Linux /,
          cpu_cores: 'number',
          total_ram_gb: 'number',
          gpu_count: [1],
          gpu_models: 'strings',
        },
      },
      machine_config: { of: CONFIG },
    },
    startup_step: {
      ...about('startup_step'),
      step_name: /^(phase_[0-3]_(begin|complete)|gpu_\d+_begin|(nginx|ollama|simulation)_skipped)$/,
      step_data: 'object',
      elapsed_ms: 'number',
      machine_config: { of: BRIEF },
    },
    service_started: { ...about('service_started'), ...service('number') },
    service_failed: { ...about('service_failed'), ...service([null]), error: 'string', error_stack: 'string' },
    startup_complete: {
      ...about('startup_complete'),
      total_startup_time_ms: 'number',
      step_count: 'number',
      startup_steps: { each: STEP },
      machine_config: { of: CONFIG },
    },
    startup_failed: {
      ...about('startup_failed'),
      total_startup_time_ms: 'number',
      step_count: 'number',
      startup_steps: { each: STEP },
      error: 'string',
      stack: 'string',
      machine_config: { of: CONFIG },
    },
    shutdown: {
      ...about('shutdown'),
      timestamp: 'ms',
      reason: ['Docker container shutdown', 'Process termination requested'],
      uptime_ms: 'number',
      machine_config: { of: BRIEF },
    },
  }
  return tables[type] ?? { event_type: Object.keys(tables) }
}

const CONNECTOR: FieldTable = {
  worker_id: 'string',
  service_type: ['comfyui', 'simulation'],
  pm2_name: 'string',
  status: ['active', 'inactive', 'unknown'],
  health: ['healthy', 'unhealthy', 'unknown'],
}

/** Every field of what the second generation says on `machine:status:<id>`. */
export const STATUS_TABLE: FieldTable = {
  machine_id: [MACHINE],
  timestamp: 'ms',
  update_type: ['initial', 'periodic', 'event_driven', 'shutdown'],
  health_url: /^https?:\/\/[^/]+(\/api)?\/health$/,
  structure: {
    of: {
      gpu_count: [1],
      capabilities: 'strings',
      workers: {
        each: {
          worker_id: 'string',
          gpu_id: [0, 1],
          services: 'strings',
          pm2_name: 'string',
          worker_type: 'string',
          resource_binding: ['gpu', 'mock_gpu', 'cpu'],
          connectors: 'strings',
        },
      },
      services: { each: CONNECTOR },
    },
  },
  status: {
    of: {
      machine: { of: { phase: ['starting', 'ready', 'shutdown'], uptime_ms: 'number' } },
      workers: {
        each: {
          is_connected: 'boolean',
          status: ['unknown', 'initializing', 'idle', 'busy', 'offline', 'error'],
          current_job_id: 'text or null',
          last_activity: 'iso time',
          version: 'string',
          build_timestamp: 'text or null',
          build_info: 'string',
          capabilities: 'strings',
        },
      },
      services: {
        each: {
          ...CONNECTOR,
          pm2_status: ['online', 'launching', 'stopping', 'stopped', 'errored', 'waiting restart', 'not_found'],
        },
      },
    },
  },
}
