import { nearest } from '../../../schema/nearest.ts'
import type { Plan } from '../../../schema/plan.ts'
import type { MachineState, ServiceRecord } from '../machine-state.ts'
import { quoted, Refusal } from './refusal.ts'

/** The record of a service. @throws Refusal for a name that is none, with the nearest one. */
export function findRecord(plan: Plan, machine: MachineState, name: string): ServiceRecord {
  const record = machine.services.get(name)
  if (record !== undefined) return record
  if (Object.hasOwn(plan.bundles, name)) {
    const members = plan.bundles[name]!.map((member) => `"${member}"`).join(', ')
    throw new Refusal(404, 'NOT_FOUND', `"${name}" is a bundle, ask for one of its services: ${members}`)
  }
  throw unknownService(name, machine.services.keys())
}

/** The services that a name or a bundle (`gpu0`, `comfyui`) means. @throws Refusal where it means none. */
export function servicesNamed(plan: Plan, name: string): readonly string[] {
  if (plan.services.some((service) => service.name === name)) return [name]
  if (Object.hasOwn(plan.bundles, name)) return plan.bundles[name]!
  throw unknownService(name, [...plan.services.map((service) => service.name), ...Object.keys(plan.bundles)])
}

function unknownService(name: string, candidates: Iterable<string>): Refusal {
  const meant = nearest(name, candidates)
  const hint = meant === undefined ? '; /services lists all' : `; did you mean "${meant}"?`
  return new Refusal(404, 'NOT_FOUND', `there is no service ${quoted(name)}${hint}`)
}
