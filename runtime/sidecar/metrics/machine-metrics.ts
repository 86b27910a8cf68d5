import type { Plan } from '../../../schema/plan.ts'
import { machineHealth } from '../health.ts'
import type { MachineState } from '../machine-state.ts'
import { type Family, labelText, single } from './exposition.ts'

/** The machine as a whole. */
export function machineFamilies(plan: Plan, version: string, machine: MachineState): readonly Family[] {
  // Time decides which services count as unsteady, never these two.
  const { healthy, ready } = machineHealth(machine, machine.startedAtMs)
  const boot = machine.boots.at(-1)
  const gauge = (name: string, help: string, value: number | null): Family => ({
    name: `machine_${name}`,
    type: 'gauge',
    help,
    samples: value === null ? [] : single(value),
  })
  const info = (name: string, help: string, labels: Readonly<Record<string, string>>): Family => ({
    name: `machine_${name}`,
    type: 'gauge',
    help,
    samples: [{ labels: labelText(labels), value: 1 }],
  })
  return [
    info('info', 'What the machine is; always 1.', {
      machine: plan.machine.id,
      target: plan.target,
      simulated: String(plan.simulate),
    }),
    info('build_info', 'The versions of machinegen and Node; always 1.', { version, node: process.version }),
    gauge('healthy', 'Whether every service that is not optional works, as /health says.', Number(healthy)),
    gauge('ready', 'Whether jobs can be taken, as /ready says.', Number(ready)),
    gauge('stopping', 'Whether the machine is about to stop.', Number(machine.stopping)),
    gauge(
      'boot_time_seconds',
      'When the machine was started, since 1970.',
      boot === undefined ? null : boot.startedAtMs / 1000,
    ),
    gauge(
      'boot_ready_seconds',
      'From the start of the machine to the first moment in which every service was ready.',
      typeof boot?.readyAfterMs === 'number' ? boot.readyAfterMs / 1000 : null,
    ),
  ]
}
