import type { Plan } from '../../../schema/plan.ts'
import { type MachineHealth, machineHealth } from '../health.ts'
import type { MachineState } from '../machine-state.ts'
import { type Family, labelText, single } from './exposition.ts'

const PHASES = ['starting', 'ready', 'degraded', 'unhealthy', 'stopping'] as const satisfies MachineHealth['phase'][]

/** The machine as a whole. */
export function machineFamilies(plan: Plan, version: string, machine: MachineState, nowMs: number): readonly Family[] {
  const { healthy, ready, phase } = machineHealth(machine, nowMs)
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
    gauge(
      'healthy',
      'Whether all works that is wanted and that the machine cannot do without, as /health says.',
      Number(healthy),
    ),
    gauge('ready', 'Whether jobs can be taken, as /ready says.', Number(ready)),
    {
      name: 'machine_phase',
      type: 'gauge',
      help: 'How the machine stands: 1 for the phase that it is in.',
      samples: PHASES.map((name) => ({ labels: labelText({ phase: name }), value: Number(name === phase) })),
    },
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
