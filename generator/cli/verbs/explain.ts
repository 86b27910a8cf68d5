import { explain, nearestName, type PlannedCompilation } from '../../explain/explain.ts'
import { formatExplanations } from '../../explain/format-explanation.ts'
import { compileMachine } from '../compile-machine.ts'
import { EXIT, failure } from '../failure.ts'
import type { Host } from '../host.ts'
import type { Invocation } from '../invocation.ts'
import { exitCodeOf, sayFindings } from '../say-findings.ts'

/** `explain NAME`: each value of it, with its origin. */
export function run({ words, values }: Invocation<'explain'>, host: Host): number {
  const [name = '', ...files] = words
  const { compilation } = compileMachine({ words: files, values }, host)
  sayFindings(host, compilation, values.format)
  const { plan } = compilation
  if (plan === null) return EXIT.findings
  const planned: PlannedCompilation = { ...compilation, plan }
  const explanations = explain(planned, name)
  if (explanations.length === 0) {
    const guess = nearestName(plan, name)
    const hint = guess === undefined ? 'machinegen plan lists them' : `did you mean "${guess}"?`
    throw failure(
      EXIT.usage,
      `cannot explain "${name}": no service, bundle or port of "${plan.machine.id}" is that`,
      hint,
    )
  }
  host.print(values.json ? `${JSON.stringify(explanations, null, 2)}\n` : formatExplanations(explanations))
  return exitCodeOf(compilation.diagnostics, false)
}
