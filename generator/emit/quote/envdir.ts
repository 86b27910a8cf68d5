import { refuseInexpressible } from './refusal.ts'

/**
 * A value as the file of a variable, for `s6-envdir -fL`: the whole file counts, and one newline at its end is dropped.
 * A file of no bytes would remove the variable; one newline alone is the empty value.
 */
export function envdirFile(value: string): string {
  refuseInexpressible('an environment variable', value)
  return `${value}\n`
}
