import { STATES } from '../../shared/service-state.ts'
import { countRestarts, isSatisfied, type MachineState, type ServiceRecord } from '../machine-state.ts'
import { deathReason } from '../probes/verdict.ts'
import { EXIT_REASONS } from '../state/exit-reason.ts'
import { flappingReason } from '../state/flapping.ts'
import { type Family, known, labelText, type Sample, withLabel } from './exposition.ts'
import { serviceLabels } from './service-labels.ts'

/** What the supervisor and the probes say of each service. */
export function serviceFamilies(machine: MachineState, nowMs: number): readonly Family[] {
  const records = [...machine.services.values()]
  const gauge = (name: string, help: string, value: (record: ServiceRecord) => number | null): Family => ({
    name: `machine_service_${name}`,
    type: 'gauge',
    help,
    samples: known(records, ({ service }) => serviceLabels(service), value),
  })
  return [
    gauge('up', 'Whether the process of the service runs.', (record) => Number(isUp(record))),
    gauge('ready', 'Whether the service does its work, or is a task that has succeeded.', (record) =>
      Number(isSatisfied(record)),
    ),
    gauge('live', 'Whether the service runs and its probes have not found it dead.', (record) =>
      Number(isLive(record)),
    ),
    gauge('wanted', 'Whether the service is to run: 0 after somebody has stopped it.', ({ stop }) =>
      Number(stop === null),
    ),
    gauge('flapping', 'Whether the service dies or gets unready again and again.', (record) =>
      Number(flappingReason(record, nowMs) !== null),
    ),
    {
      name: 'machine_service_state',
      type: 'gauge',
      help: 'The state of the service: 1 for the one that it is in.',
      samples: records.flatMap(stateSamples),
    },
    gauge('startup_seconds', 'From the start of the service to its readiness, the last time.', ({ startupMs }) =>
      startupMs === null ? null : startupMs / 1000,
    ),
    gauge('start_time_seconds', 'When the running process became the service, since 1970.', ({ launchedAtMs }) =>
      launchedAtMs === null ? null : launchedAtMs / 1000,
    ),
    {
      name: 'machine_service_restarts',
      type: 'counter',
      help: 'How often the service was started again.',
      samples: known(records, ({ service }) => serviceLabels(service), countRestarts),
    },
    {
      name: 'machine_service_exits',
      type: 'counter',
      help: 'How often the process of the service ended, by what ended it.',
      samples: records.flatMap(exitSamples),
    },
    {
      name: 'machine_service_info',
      type: 'gauge',
      help: 'What the service is; always 1.',
      samples: records.map(({ service: { name, gpu, type, kind, optional } }) => ({
        labels: labelText({ service: name, gpu, type, kind, optional: String(optional) }),
        value: 1,
      })),
    },
  ]
}

function stateSamples({ service, state }: ServiceRecord): readonly Sample[] {
  const labels = serviceLabels(service)
  return STATES.map((name) => ({ labels: withLabel(labels, 'state', name), value: Number(name === state) }))
}

function exitSamples({ service, history }: ServiceRecord): readonly Sample[] {
  const labels = serviceLabels(service)
  return EXIT_REASONS.map((reason) => ({
    labels: withLabel(labels, 'reason', reason),
    // A history that was kept by an older version may not know every reason.
    value: history.exits[reason] ?? 0,
  }))
}

function isUp({ observation }: ServiceRecord): boolean {
  return observation?.supervised === true && observation.status?.up === true
}

function isLive(record: ServiceRecord): boolean {
  if (!isUp(record) || record.launchedAtMs === null) return false
  return record.readyAtMs === null || deathReason(record, record.service.liveness) === null
}
