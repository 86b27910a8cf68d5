import { refuseInexpressible } from './refusal.ts'

/**
 * A value as the file of a variable, for `s6-envdir -fL`: the whole file counts, one newline at its end is dropped. An
 * empty file would remove the variable, so the empty string has no such file: `null`.
 */
export function envdirFile(value: string): string | null {
  refuseInexpressible('an environment variable', value)
  return value === '' ? null : `${value}\n`
}
