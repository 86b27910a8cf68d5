import type { Plan } from '../../../../schema/plan.ts'
import type { MachineEvent } from '../../../shared/machine-event.ts'
import type { HostFacts } from './host-facts.ts'
import type { StartupNotice, StartupProgress, StartupStep } from './startup-progress.ts'

export interface StartupMessage {
  readonly event_type: StartupEventType
  readonly [field: string]: unknown
}

export type StartupEventType =
  | 'machine_startup'
  | 'startup_step'
  | 'service_started'
  | 'service_failed'
  | 'startup_complete'
  | 'startup_failed'
  | 'shutdown'

export interface StartupFacts {
  readonly plan: Pick<Plan, 'machine' | 'gpus' | 'services' | 'target'>
  readonly host: HostFacts
}

/** A notice as the consumers of `machine:startup:events` read it: fields of the first generation, each with its machine. */
export function startupMessage(
  notice: StartupNotice,
  event: MachineEvent,
  progress: StartupProgress,
  facts: StartupFacts,
): StartupMessage {
  const atMs = Date.parse(event.at)
  const elapsedMs = Math.max(0, atMs - progress.startedAtMs)
  const about = (event_type: StartupEventType) => ({
    event_type,
    worker_id: `${facts.plan.machine.id}-startup-notifier`,
    machine_id: facts.plan.machine.id,
    timestamp: event.at,
  })
  const brief = { machine_id: facts.plan.machine.id, hostname: facts.host.hostname }
  switch (notice.kind) {
    case 'phase':
      return { ...about('machine_startup'), ...startupFields(notice.phase, elapsedMs, facts) }
    case 'step':
      return {
        ...about('startup_step'),
        step_name: notice.step.name,
        step_data: notice.step.data,
        elapsed_ms: elapsedMs,
        machine_config: brief,
      }
    case 'service-started':
      return {
        ...about('service_started'),
        ...serviceFields(event, facts),
        elapsed_ms: elapsedMs,
        machine_config: brief,
      }
    case 'service-failed':
      return {
        ...about('service_failed'),
        ...serviceFields(event, facts),
        error: event.error?.message ?? 'it does not work',
        error_stack: `${event.error?.code ?? 'Error'}: ${event.error?.message ?? 'it does not work'}`,
        elapsed_ms: elapsedMs,
        machine_config: brief,
      }
    case 'complete':
      return {
        ...about('startup_complete'),
        ...summaryFields(progress, elapsedMs),
        machine_config: machineConfig(facts),
      }
    case 'failed':
      return {
        ...about('startup_failed'),
        ...summaryFields(progress, elapsedMs),
        error: event.error?.message ?? 'the machine cannot take jobs',
        stack: `${event.error?.code ?? 'Error'}: ${event.error?.message ?? 'the machine cannot take jobs'}`,
        machine_config: machineConfig(facts),
      }
    case 'shutdown':
      return {
        ...about('shutdown'),
        timestamp: atMs,
        reason: SHUTDOWN_REASONS[facts.plan.target],
        uptime_ms: elapsedMs,
        machine_config: brief,
      }
  }
}

/** Two of the reasons that consumers have seen. */
const SHUTDOWN_REASONS: Readonly<Record<Plan['target'], string>> = {
  container: 'Docker container shutdown',
  local: 'Process termination requested',
}

function startupFields(phase: string, elapsedMs: number, facts: StartupFacts) {
  const { host, plan } = facts
  return {
    phase,
    elapsed_ms: elapsedMs,
    host_info: {
      hostname: host.hostname,
      os: host.os,
      cpu_cores: host.cpuCores,
      total_ram_gb: host.totalRamGB,
      gpu_count: plan.gpus.length,
      gpu_models: plan.gpus.map(({ model }) => model),
    },
    machine_config: machineConfig(facts),
  }
}

/** Host facts are in here too: the first job API reads them from here and not from `host_info`. */
function machineConfig({ plan, host }: StartupFacts) {
  const { machine, gpus, services } = plan
  return {
    machine_id: machine.id,
    gpu_count: gpus.length,
    gpu_memory: gpus[0]?.memoryGB ?? 0,
    gpu_model: gpus[0]?.model ?? 'none',
    gpu_models: gpus.map(({ model }) => model),
    hostname: host.hostname,
    cpu_cores: host.cpuCores,
    ram_gb: host.totalRamGB,
    services: services.map(({ name }) => name),
  }
}

function serviceFields({ service: name = '', context = {} }: MachineEvent, { plan }: StartupFacts) {
  const service = plan.services.find((other) => other.name === name)
  return {
    service_name: name,
    service_data: {
      service_type: service?.type ?? 'unknown',
      options: { gpu: service?.gpu ?? null, port: service?.port ?? null },
      startup_time: typeof context.startupMs === 'number' ? context.startupMs : null,
    },
  }
}

function summaryFields({ steps, startedAtMs }: StartupProgress, elapsedMs: number) {
  return {
    total_startup_time_ms: elapsedMs,
    step_count: steps.length,
    startup_steps: steps.map((step) => describeStep(step, startedAtMs)),
  }
}

function describeStep({ name, data, atMs }: StartupStep, startedAtMs: number) {
  const elapsed_ms = Math.max(0, atMs - startedAtMs)
  return { step_name: name, step_data: data, elapsed_ms, timestamp: new Date(atMs).toISOString() }
}
