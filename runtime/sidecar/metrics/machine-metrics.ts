import type { Plan } from '../../../schema/plan.ts'
import { isHealthy, type MachineState } from '../machine-state.ts'
import { type Family, labelText, single } from './exposition.ts'

/** This boot of the machine. */
export interface BootFacts {
  /** When the first sidecar of it came up, in ms since 1970. */
  readonly startedAtMs: number
  /** When every service was ready for the first time; `null` before. */
  readonly readyAtMs: number | null
}

/** The machine as a whole. */
export function machineFamilies(
  plan: Plan,
  version: string,
  machine: MachineState,
  { startedAtMs, readyAtMs }: BootFacts,
): readonly Family[] {
  const gauge = (name: string, help: string, value: number): Family => ({
    name: `machine_${name}`,
    type: 'gauge',
    help,
    samples: single(value),
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
    gauge('healthy', 'Whether every service is ready or done.', Number(isHealthy(machine))),
    gauge('stopping', 'Whether the machine is about to stop.', Number(machine.stopping)),
    gauge('boot_time_seconds', 'When the machine was started, since 1970.', startedAtMs / 1000),
    {
      name: 'machine_boot_ready_seconds',
      type: 'gauge',
      help: 'From the start of the machine to the first moment in which every service was ready.',
      samples: readyAtMs === null ? [] : single((readyAtMs - startedAtMs) / 1000),
    },
  ]
}

/** Follows the facts of a boot: `null` readiness becomes the moment in which the last service got ready. */
export function followBoot(boot: BootFacts, machine: MachineState): BootFacts {
  if (boot.readyAtMs !== null || !isHealthy(machine)) return boot
  const times = [...machine.services.values()].map(
    // A sidecar that came up later knows since when only from the gate.
    ({ readyAtMs, observation, sinceMs }) => readyAtMs ?? observation?.gateOpenedAtMs ?? sinceMs,
  )
  return { ...boot, readyAtMs: Math.max(boot.startedAtMs, ...times) }
}
