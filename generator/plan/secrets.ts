import type { PlannedSecret } from '../../schema/plan.ts'
import type { Pointer } from '../load/origin.ts'
import { isReference, literalText } from '../services/program.ts'
import { hasLiteralSecret, mayBeSecret } from '../validate/secret-places.ts'

/** Collects the secrets of a machine: each field once, under the name that its file has in the machine. */
export interface SecretRegister {
  /** The name of the secret; `null` for an empty value, which is no secret. */
  readonly add: (pointer: Pointer, name: string, value: string) => string | null
  readonly planned: () => PlannedSecret[]
  /** The values that stood in the machine file in clear, by name: for artifacts of mode 0600 and nothing else. */
  readonly literals: () => ReadonlyMap<string, { readonly pointer: Pointer; readonly value: string }>
  /** Fields that have a secret in clear beside a reference; the plan leaves such a value out. */
  readonly mixed: () => readonly Pointer[]
}

export function secretRegister(literalDirectory: string): SecretRegister {
  const planned = new Map<string, PlannedSecret>()
  const literals = new Map<string, { pointer: Pointer; value: string }>()
  const mixed: Pointer[] = []
  return {
    add: (pointer, name, value) => {
      if (value === '') return null
      if (planned.has(name)) return name
      if (isReference(value)) {
        const isMixed = hasLiteralSecret(value, mayBeSecret(pointer, value))
        if (isMixed) mixed.push(pointer)
        planned.set(name, { name, field: pointer, source: { kind: 'reference', template: isMixed ? '' : value } })
      } else {
        planned.set(name, { name, field: pointer, source: { kind: 'literal', file: `${literalDirectory}/${name}` } })
        literals.set(name, { pointer, value: literalText(value) })
      }
      return name
    },
    planned: () => [...planned.values()],
    literals: () => literals,
    mixed: () => mixed,
  }
}
