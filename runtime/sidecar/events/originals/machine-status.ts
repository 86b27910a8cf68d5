import type { Plan, PlannedService } from '../../../../schema/plan.ts'
import { pm2Status } from '../../../shared/pm2-status.ts'
import type { StateName } from '../../../shared/service-state.ts'
import { machineHealth } from '../../health.ts'
import type { MachineState } from '../../machine-state.ts'
import type { WorkerRecord } from '../../workers/worker-record.ts'
import type { Workload } from '../../workload/workload.ts'
import type { Told } from '../told.ts'

/** What consumers pass on: `initial` and `periodic` as an update of the machine, `event_driven` as a change of it. */
export type UpdateType = 'initial' | 'periodic' | 'event_driven' | 'shutdown'

export interface MachineStatusFacts {
  readonly plan: Pick<Plan, 'machine' | 'gpus' | 'services'>
  readonly machine: MachineState
  readonly told: Pick<Told, 'phase' | 'workers'>
  readonly workload: (service: string) => Workload | null
  readonly recordOf: (workerId: string) => WorkerRecord
  readonly version: string
  /** Where other hosts reach the API of this machine. */
  readonly publicUrl: string
  readonly nowMs: number
}

/** A message on `machine:status:<id>`, with the fields of the second generation and those of its successor. */
export function machineStatus(facts: MachineStatusFacts, updateType: UpdateType) {
  const { plan, nowMs } = facts
  const workers = plan.services.filter((service): service is Worker => service.workerId !== null)
  const services = workers.flatMap((worker) =>
    connectorsOf(worker).map((connector) => describeConnector(facts, worker, connector)),
  )
  return {
    machine_id: plan.machine.id,
    timestamp: nowMs,
    update_type: updateType,
    health_url: `${facts.publicUrl}/health`,
    structure: {
      gpu_count: plan.gpus.length,
      capabilities: capabilitiesOf(plan, workers),
      workers: Object.fromEntries(workers.map((worker) => [worker.workerId, describeStructure(plan, worker)])),
      services: Object.fromEntries(
        services.map(([key, { worker_id, service_type, pm2_name, status, health }]) => [
          key,
          { worker_id, service_type, pm2_name, status, health },
        ]),
      ),
    },
    status: {
      machine: { phase: phaseOf(facts), uptime_ms: Math.max(0, Math.round(nowMs - startedAtMs(facts.machine))) },
      workers: Object.fromEntries(workers.map((worker) => [worker.workerId, describeWorker(facts, worker)])),
      services: Object.fromEntries(services),
    },
  }
}

export type MachineStatusMessage = ReturnType<typeof machineStatus>

type Worker = PlannedService & { readonly workerId: string }

/**
 * The three phases that consumers know. A machine that lost something is `ready` for as long as it can take jobs, and
 * starting where it cannot: its supervisors bring back what they can.
 */
function phaseOf({ told, machine, nowMs }: MachineStatusFacts): 'starting' | 'ready' | 'shutdown' {
  if (machine.stopping || told.phase === 'stopping' || told.phase === 'stopped') return 'shutdown'
  if (told.phase === 'starting') return 'starting'
  return told.phase === 'ready' || machineHealth(machine, nowMs).ready ? 'ready' : 'starting'
}

function startedAtMs(machine: MachineState): number {
  return machine.boots.at(-1)?.startedAtMs ?? machine.startedAtMs
}

const CONNECTOR_OF: Partial<Record<PlannedService['type'], string>> = {
  comfyui: 'comfyui',
  automatic1111: 'a1111',
  ollama: 'ollama',
}

/** The kinds of job that a worker takes; the first machines called them its services. */
function connectorsOf({ environment }: PlannedService): string[] {
  const names = (environment.WORKER_CONNECTORS ?? '').split(',').map((entry) => entry.split(':')[0]!.trim())
  return [...new Set(names)].filter((name) => name !== '')
}

function capabilitiesOf({ services }: Pick<Plan, 'services'>, workers: readonly Worker[]): string[] {
  const taken = workers.flatMap(connectorsOf)
  const offered = services.flatMap(({ type }) => CONNECTOR_OF[type] ?? [])
  return [...new Set(taken.length > 0 ? taken : offered)]
}

function describeStructure({ gpus }: Pick<Plan, 'gpus'>, worker: Worker) {
  const { workerId, gpu, name } = worker
  const isMock = gpus.find(({ index }) => index === gpu)?.mock ?? false
  return {
    worker_id: workerId,
    gpu_id: gpu ?? 0,
    services: connectorsOf(worker),
    pm2_name: name,
    worker_type: worker.environment.CONNECTORS ?? connectorsOf(worker)[0] ?? 'unknown',
    resource_binding: gpu === null ? 'cpu' : isMock ? 'mock_gpu' : 'gpu',
    connectors: connectorsOf(worker),
  }
}

function describeWorker({ told, workload, recordOf, version, nowMs, machine }: MachineStatusFacts, worker: Worker) {
  const { workerId, name } = worker
  const record = recordOf(workerId)
  const said = told.workers.get(workerId)
  const status = workerStatus(said?.state, record)
  const activeAtMs = Math.max(record.saidAtMs ?? 0, record.heartbeatAtMs ?? 0, said?.atMs ?? startedAtMs(machine))
  return {
    is_connected: status === 'idle' || status === 'busy',
    status,
    current_job_id: workload(name)?.currentJob ?? null,
    last_activity: new Date(Math.min(activeAtMs, nowMs)).toISOString(),
    version: record.version ?? version,
    build_timestamp: record.buildTimestamp,
    build_info: record.buildInfo ?? `machinegen ${version}`,
    capabilities: connectorsOf(worker),
  }
}

/** States of a worker as consumers know them. */
function workerStatus(state: string | undefined, record: WorkerRecord): string {
  switch (state) {
    case undefined:
      return 'unknown'
    case 'ready':
      return 'idle'
    case 'busy':
      return 'busy'
    case 'stopped':
      return 'offline'
    case 'error':
      return record.isSilent ? 'offline' : 'error'
    default:
      return 'initializing'
  }
}

function describeConnector({ plan, machine, recordOf }: MachineStatusFacts, worker: Worker, connector: string) {
  const target = servesConnector(plan.services, worker, connector)
  const state = machine.services.get((target ?? worker).name)?.state ?? 'down'
  const said = recordOf(worker.workerId).connectors[connector]
  // What runs on this machine is seen here; of anything else the worker knows more.
  const seen = target === undefined && said !== undefined ? said : WORDS[state]
  const service = {
    worker_id: worker.workerId,
    service_type: connector,
    pm2_name: (target ?? worker).name,
    status: seen.status,
    health: seen.health,
    pm2_status: pm2Status(state),
  }
  return [`${worker.workerId}.${connector}`, service] as const
}

/** The service of this machine that a worker sends such jobs to: that of its own GPU, or the one of all GPUs. */
function servesConnector(
  services: readonly PlannedService[],
  { gpu }: Worker,
  connector: string,
): PlannedService | undefined {
  const candidates = services.filter(({ type }) => CONNECTOR_OF[type] === connector)
  return candidates.find((service) => service.gpu === gpu) ?? candidates[0]
}

/** A badge is yellow for `unknown`, blue for `active` and healthy, red for `active` and not. */
const WORDS: Readonly<Record<StateName, { readonly status: string; readonly health: string }>> = {
  down: { status: 'inactive', health: 'unknown' },
  waiting: { status: 'unknown', health: 'unknown' },
  starting: { status: 'unknown', health: 'unknown' },
  ready: { status: 'active', health: 'healthy' },
  unready: { status: 'active', health: 'unhealthy' },
  stopping: { status: 'inactive', health: 'unknown' },
  failed: { status: 'active', health: 'unhealthy' },
  done: { status: 'inactive', health: 'healthy' },
}
