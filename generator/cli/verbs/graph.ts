import { drawGraph } from '../../graph/draw-graph.ts'
import { serviceGraph } from '../../graph/service-graph.ts'
import { compileMachine } from '../compile-machine.ts'
import { EXIT } from '../failure.ts'
import type { Host } from '../host.ts'
import type { Invocation } from '../invocation.ts'
import { exitCodeOf, sayFindings } from '../say-findings.ts'

/** `graph`: what waits for what, and the order of the stop, as a drawing. */
export function run(invocation: Invocation<'graph'>, host: Host): number {
  const { compilation } = compileMachine(invocation, host)
  sayFindings(host, compilation, 'pretty')
  if (compilation.plan === null) return EXIT.findings
  host.print(drawGraph(serviceGraph(compilation.plan), invocation.values.format))
  return exitCodeOf(compilation.diagnostics, false)
}
