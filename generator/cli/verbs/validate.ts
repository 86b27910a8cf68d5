import { compileMachine } from '../compile-machine.ts'
import type { Host } from '../host.ts'
import type { Invocation } from '../invocation.ts'
import { exitCodeOf, printFindings } from '../say-findings.ts'

/** `validate`: the findings are the result. */
export function run(invocation: Invocation<'validate'>, host: Host): number {
  const { values } = invocation
  const { compilation, sources } = compileMachine(invocation, host)
  printFindings(host, compilation, values.format)
  const isClean = compilation.diagnostics.length === 0
  if (isClean && !values.quiet) host.say(`${sources.map(({ file }) => file).join(', ')}: nothing wrong\n`)
  return exitCodeOf(compilation.diagnostics, values.strict)
}
