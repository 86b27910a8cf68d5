import { yamlString } from './yaml.ts'

/** A value as a string of a compose file, in which `$` begins a variable and `$$` is one `$`. */
export function composeString(value: string): string {
  return yamlString(value.replaceAll('$', '$$$$'))
}
