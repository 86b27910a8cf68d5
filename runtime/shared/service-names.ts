import { nearest } from '../../schema/nearest.ts'
import type { Plan } from '../../schema/plan.ts'

type Named = { readonly services: readonly { readonly name: string }[]; readonly bundles: Plan['bundles'] }

/** A service, or the services of a bundle (`gpu0`, `comfyui`); `null` for a name that is neither. */
export function findMembers({ services, bundles }: Named, name: string): readonly string[] | null {
  if (services.some((service) => service.name === name)) return [name]
  return Object.hasOwn(bundles, name) ? bundles[name]! : null
}

/** That there is no such service, with the one that was probably meant. */
export function unknownName({ services, bundles }: Named, name: string): string {
  const meant = nearest(name, [...services.map((service) => service.name), ...Object.keys(bundles)])
  return `there is no service "${name}"${meant === undefined ? '' : `; did you mean "${meant}"?`}`
}
