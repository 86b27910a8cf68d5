import { machineSchema } from '../../validate/schema-walk.ts'
import type { Host } from '../host.ts'
import type { Invocation } from '../invocation.ts'

/** `schema`: the format of machine files, for editors. */
export function run(_invocation: Invocation<'schema'>, host: Host): number {
  host.print(`${JSON.stringify(machineSchema(), null, 2)}\n`)
  return 0
}
