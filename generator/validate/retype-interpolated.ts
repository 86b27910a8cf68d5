import { resolveCoreScalar } from '../load/core-scalar.ts'
import { type JsonObject, type JsonValue, pointerKeys } from '../load/origin.ts'
import type { Origins } from './locate.ts'
import { resolveNode, type SchemaNode, schemaAt } from './schema-walk.ts'

/**
 * Turns `"${PORT:-80}"` into a number where a number is wanted. Quotes are no sign of a text there: inside `{ }` YAML
 * cannot do without them. Changes the document in place.
 */
export function retypeInterpolated(document: JsonObject, origins: Origins): void {
  for (const [pointer, origin] of origins) {
    if (origin.kind !== 'file' || origin.variables === undefined) continue
    const keys = pointerKeys(pointer)
    const key = keys.pop() ?? ''
    const parent = keys.reduce<JsonValue | undefined>(
      (value, step) => (value as JsonObject | undefined)?.[step],
      document,
    )
    const text = (parent as JsonObject | undefined)?.[key]
    if (typeof text !== 'string' || wantsText(schemaAt([...keys, key]))) continue
    const scalar = resolveCoreScalar(text)
    if ('value' in scalar && scalar.value !== null) (parent as JsonObject)[key] = scalar.value
  }
}

function wantsText(node: SchemaNode | null): boolean {
  const types = [node?.type ?? [], ...(node?.oneOf ?? []).map((branch) => resolveNode(branch).type ?? [])].flat()
  return types.length === 0 || types.includes('string')
}
