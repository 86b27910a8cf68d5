import { type Environment, resolveTemplate, templateErrors, templateVariables } from '../../schema/interpolation.ts'
import type { DiagnosticCode } from '../diagnostics/codes.ts'
import { resolveCoreScalar, type Scalar } from './core-scalar.ts'
import type { LayerList, LayerMap, LayerNode, LayerScalar, Template } from './layer-node.ts'
import { childPointer, type JsonObject, type JsonValue, type Origin, type Pointer } from './origin.ts'
import { errorAt, locationOf, type Place, type Report, rangeOf } from './source-text.ts'
import { templatePlace } from './template-place.ts'

/**
 * How a string of the document is treated: `plain` is resolved now, `secret` and `deferred` stay as they are written,
 * references, `$$` and all, and are resolved in the container at boot.
 */
export type Treatment = 'plain' | 'secret' | 'deferred'

export interface BuildContext {
  readonly environment: Environment
  readonly treatmentOf: (keys: string[]) => Treatment
  readonly report: Report
  readonly origins: Map<Pointer, Origin>
  /** Values that stay as written because they could not be resolved. */
  readonly unresolved: Set<Pointer>
}

/** One value on its way into the document. */
interface Spot {
  readonly pointer: Pointer
  readonly keys: readonly string[]
  readonly keyPlace?: Place | undefined
}

/** The merged tree as a document: references resolved, `null` keys removed, the origin of each value noted. */
export function buildDocument(context: BuildContext, root: LayerMap): JsonObject {
  return buildMap(context, root, { pointer: '', keys: [] })
}

function buildValue(context: BuildContext, node: LayerNode, spot: Spot): JsonValue {
  if (node.kind === 'map') return buildMap(context, node, spot)
  if (node.kind === 'list') return buildList(context, node, spot)
  if (node.isRefused) context.unresolved.add(spot.pointer)
  const value = node.template === undefined ? node.value : resolve(context, node, node.template, spot)
  context.origins.set(spot.pointer, originOf(node, spot.keyPlace))
  return value
}

function buildMap(context: BuildContext, map: LayerMap, { pointer, keys, keyPlace }: Spot): JsonObject {
  context.origins.set(pointer, originOf(map, keyPlace))
  const object: JsonObject = {}
  for (const [key, entry] of map.entries) {
    const spot = { pointer: childPointer(pointer, key), keys: [...keys, key], keyPlace: entry.keyPlace }
    const value = buildValue(context, entry.node, spot)
    if (value === null) context.origins.delete(spot.pointer)
    else setOwn(object, key, value)
  }
  return object
}

function buildList(context: BuildContext, list: LayerList, { pointer, keys, keyPlace }: Spot): JsonValue[] {
  context.origins.set(pointer, originOf(list, keyPlace))
  return list.items.map((item, index) =>
    buildValue(context, item, { pointer: childPointer(pointer, index), keys: [...keys, String(index)] }),
  )
}

/** An assignment to `__proto__` would change the object's kind instead of giving it a key. */
function setOwn(object: JsonObject, key: string, value: JsonValue): void {
  if (key !== '__proto__') object[key] = value
  else Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true })
}

function resolve(context: BuildContext, node: LayerScalar, template: Template, spot: Spot): Scalar {
  const written = String(node.value)
  const fail = (place: Place, code: DiagnosticCode, message: string, hint?: string) => {
    context.report(errorAt(place, code, message, hint))
    context.unresolved.add(spot.pointer)
    return written
  }
  if (templateErrors(template.parts).length > 0) {
    context.unresolved.add(spot.pointer)
    return written
  }
  if (context.treatmentOf([...spot.keys]) !== 'plain') return written
  const resolution = resolveTemplate(template.parts, context.environment)
  if ('problems' in resolution) {
    for (const { start, end, code, message, hint } of resolution.problems) {
      fail(templatePlace(node.place, written, start, end), code, message, hint)
    }
    return written
  }
  if (!template.isPlain) return resolution.value
  const typed = resolveCoreScalar(resolution.value)
  if ('value' in typed) return typed.value
  return fail(
    node.place,
    'INVALID_VALUE',
    `cannot use number ${resolution.value}: ${typed.problem}`,
    'quote it if it is a text',
  )
}

function originOf(node: LayerNode, keyPlace: Place | undefined): Origin {
  const { file, role } = node.place.source
  if (role.kind === 'set') return { kind: 'set', location: locationOf(node.place) }
  if (role.kind === 'environment') {
    return { kind: 'environment', variable: role.variable, location: role.location }
  }
  const origin = { kind: 'file' as const, file, layer: role.layer, range: rangeOf(node.place) }
  const variables = node.kind === 'scalar' && node.template ? templateVariables(node.template.parts) : []
  return {
    ...origin,
    ...(keyPlace === undefined ? {} : { keyRange: rangeOf(keyPlace) }),
    ...(variables.length === 0 ? {} : { variables }),
  }
}
