import { carryOut } from './carry-out.ts'
import type { Host } from './host.ts'
import type { Invocation } from './invocation.ts'
import { run } from './verbs/render.ts'

/** The command that is run most, and nothing else: a bundle of its own starts faster. */
export function runCommand(_words: readonly string[], invocation: Invocation | null, host: Host): Promise<number> {
  return carryOut('render', host, () => run(invocation as Invocation<'render'>, host))
}
