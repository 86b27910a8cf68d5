import type { Location, Range } from '../diagnostics/diagnostic.ts'

/** A JSON pointer (RFC 6901) into the machine document: `/services/comfyui/basePort`, `` for the document. */
export type Pointer = string

/** Where a value of the merged document came from. */
export type Origin =
  | {
      readonly kind: 'file'
      readonly file: string
      /** 0 for the first `-f`. */
      readonly layer: number
      /** The value's own text; of an alias, the alias (not its anchor). */
      readonly range: Range
      /** The key's text, where the value sits under one. */
      readonly keyRange?: Range
      /** Names of the variables interpolated into the value. */
      readonly variables?: readonly string[]
    }
  | { readonly kind: 'set'; readonly location: Location }
  | { readonly kind: 'environment'; readonly variable: string; readonly location: Location }
  | { readonly kind: 'default' }

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject
export interface JsonObject {
  [key: string]: JsonValue
}

/** `/`-escaping of RFC 6901: the pointer of a child. */
export function childPointer(parent: Pointer, key: string | number): Pointer {
  return `${parent}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** The keys of a pointer, unescaped; `[]` for the document itself. */
export function pointerKeys(pointer: Pointer): string[] {
  return pointer === ''
    ? []
    : pointer
        .slice(1)
        .split('/')
        .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}
