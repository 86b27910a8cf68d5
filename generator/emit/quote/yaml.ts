import { refuseInexpressible } from './refusal.ts'

/** A value as a YAML scalar that every YAML 1.1 and 1.2 reader takes for the same string: a JSON string is one. */
export function yamlString(value: string): string {
  refuseInexpressible('a YAML string', value)
  // NEL and the Unicode separators end a line in YAML 1.1, and DEL is not printable in either version.
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
