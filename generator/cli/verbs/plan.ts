import { formatPlan } from '../../explain/plan-table.ts'
import { compileMachine } from '../compile-machine.ts'
import { EXIT } from '../failure.ts'
import type { Host } from '../host.ts'
import type { Invocation } from '../invocation.ts'
import { exitCodeOf, sayFindings } from '../say-findings.ts'

/** `plan`: what will run. Shown as far as it got where the machine has errors. */
export function run(invocation: Invocation<'plan'>, host: Host): number {
  const { values } = invocation
  const { compilation } = compileMachine(invocation, host)
  sayFindings(host, compilation, values.format)
  if (compilation.plan === null) return EXIT.findings
  host.print(values.json ? `${JSON.stringify(compilation.plan, null, 2)}\n` : formatPlan(compilation.plan))
  return exitCodeOf(compilation.diagnostics, false)
}
