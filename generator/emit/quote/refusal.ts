/**
 * A value that a language cannot express. Validation refuses such values with a position in the machine file
 * (UNSAFE_VALUE); reaching a quoting function with one is a bug of the compiler, hence thrown.
 */
export function refuse(language: string, value: string, why: string): never {
  throw new Error(`cannot write ${JSON.stringify(value)} as ${language}: ${why}`)
}

/** What no text that a program reads can hold: NUL, and half a surrogate pair, which has no UTF-8 form. */
export function refuseInexpressible(language: string, value: string): void {
  if (value.includes('\0')) refuse(language, value, 'it has a NUL character')
  if (!value.isWellFormed()) refuse(language, value, 'it has half a surrogate pair')
}
