import { nearest } from '../../schema/nearest.ts'
import type { Plan, PlannedService } from '../../schema/plan.ts'
import type { Compilation } from '../compile.ts'
import type { Provenance } from '../services/service-type.ts'
import { serviceFields } from './fields.ts'
import { originAt, type ValueOrigin } from './origin-text.ts'
import { claimedPorts } from './ports.ts'

export interface ExplainedValue {
  /** Dotted, as in plan.json. */
  readonly field: string
  readonly value: string
  readonly origin: ValueOrigin
}

/** One service, or one claim of a port. */
export interface Explanation {
  readonly title: string
  readonly values: readonly ExplainedValue[]
}

/** A compilation that got as far as a plan. */
export type PlannedCompilation = Compilation & { readonly plan: Plan }

/**
 * Every value of what a name means, each with where it was decided: an instance (`comfyui-gpu1`), a key of the machine
 * file (`comfyui`), a bundle (`gpu0`) or a port (`8189`). Empty where nothing has that name.
 */
export function explain(compilation: PlannedCompilation, name: string): readonly Explanation[] {
  const { plan } = compilation
  if (/^\d+$/.test(name)) return explainPort(compilation, Number(name))
  const members = plan.bundles[name] ?? []
  return plan.services
    .filter((service) => service.name === name || service.key === name || members.includes(service.name))
    .map((service) => ({ title: titleOf(service), values: explainService(compilation, service) }))
}

/** The name that was probably meant. */
export function nearestName({ services, bundles }: Plan, name: string): string | undefined {
  return nearest(name, [...services.flatMap((service) => [service.name, service.key]), ...Object.keys(bundles)])
}

function titleOf({ name, type, gpu, kind }: PlannedService): string {
  const details = [
    type === name ? [] : [type],
    kind === 'task' ? ['task'] : [],
    gpu === null ? [] : [`GPU ${gpu}`],
  ].flat()
  return details.length === 0 ? name : `${name} (${details.join(', ')})`
}

function explainService(compilation: PlannedCompilation, service: PlannedService): ExplainedValue[] {
  const provenance: Readonly<Record<string, Provenance>> = compilation.provenance()[service.name] ?? {}
  const fields = serviceFields(service)
  const explained = fields.map(({ field, value }) => ({
    field,
    value,
    origin: fieldOrigin(compilation, provenance[field]),
  }))
  const names = new Set(fields.map(({ field }) => field))
  // Settings that became part of another field, such as `args` of the command.
  const others = Object.entries(provenance).filter(([field]) => !names.has(field))
  const more = others.map(([field, source]) => {
    const origin = fieldOrigin(compilation, source)
    return { field, value: origin.written ?? '', origin }
  })
  return [...explained, ...more.filter(({ value }) => value !== '' && value !== '[]')]
}

function fieldOrigin(compilation: Compilation, source: Provenance | undefined): ValueOrigin {
  return source === undefined ? { kind: 'compiler' } : originAt(compilation, source.pointer, source.note)
}

function explainPort(compilation: PlannedCompilation, port: number): Explanation[] {
  return claimedPorts(compilation)
    .filter((claim) => claim.port === port)
    .map(({ purpose, source }) => ({
      title: `port ${port}: ${purpose}`,
      values: [{ field: 'port', value: String(port), origin: fieldOrigin(compilation, source) }],
    }))
}
