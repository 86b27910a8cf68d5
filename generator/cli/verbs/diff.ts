import { diffTree } from '../../write/tree-diff.ts'
import { compileTree } from '../compile-tree.ts'
import { EXIT } from '../failure.ts'
import type { Host } from '../host.ts'
import type { Invocation } from '../invocation.ts'
import { sayFindings } from '../say-findings.ts'

/** `diff`: what a render would change, as a patch. */
export function run(invocation: Invocation<'diff'>, host: Host): number {
  const { values } = invocation
  const tree = compileTree(invocation, host)
  sayFindings(host, tree, values.format)
  if (tree.artifacts === null) return EXIT.findings
  const patch = diffTree(values.out, tree.artifacts)
  host.print(patch)
  return patch === '' ? EXIT.done : EXIT.findings
}
