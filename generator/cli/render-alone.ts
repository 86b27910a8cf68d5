import { carryOut } from './carry-out.ts'
import type { Host } from './host.ts'
import type { Invocation } from './invocation.ts'
import { renderOnce } from './render-once.ts'

/** The command that is run most, without `--watch`: a bundle of its own starts faster. */
export function runCommand(_words: readonly string[], invocation: Invocation | null, host: Host): Promise<number> {
  return carryOut('render', host, () => renderOnce(invocation as Invocation<'render'>, host))
}
