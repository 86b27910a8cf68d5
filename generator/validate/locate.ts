import { type Location, TEXT_START } from '../diagnostics/diagnostic.ts'
import { childPointer, type Origin, type Pointer, pointerKeys } from '../load/origin.ts'

export type Origins = ReadonlyMap<Pointer, Origin>

/**
 * Where a value of the document stands, or its key. A value that came from a default, or is missing, is located at the
 * nearest parent that stands somewhere.
 */
export function locate(origins: Origins, pointer: Pointer, part: 'value' | 'key' = 'value'): Location {
  const keys = pointerKeys(pointer)
  for (let length = keys.length; length >= 0; length -= 1) {
    const at = keys.slice(0, length).reduce(childPointer, '')
    const location = locationOf(origins.get(at), length === keys.length ? part : 'key')
    if (location !== null) return location
  }
  return { file: 'machine', range: TEXT_START }
}

function locationOf(origin: Origin | undefined, part: 'value' | 'key'): Location | null {
  switch (origin?.kind) {
    case 'file':
      return { file: origin.file, range: part === 'key' ? (origin.keyRange ?? origin.range) : origin.range }
    case 'set':
    case 'environment':
      return origin.location
    default:
      return null
  }
}

/** The origin of a value: its own, the one of the list or map it stands in, or the schema's default. */
export function originOf(origins: Origins, pointer: Pointer): Origin {
  return origins.get(pointer) ?? { kind: 'default' }
}
