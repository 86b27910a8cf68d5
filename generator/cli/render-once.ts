import { applyTree } from '../write/apply.ts'
import { compareTree, type Drift } from '../write/drift.ts'
import { type CompiledTree, compileTree } from './compile-tree.ts'
import { complaint, EXIT } from './failure.ts'
import type { Host } from './host.ts'
import type { Invocation } from './invocation.ts'
import { changeList, renderJson, renderSummary } from './render-report.ts'
import { sayFindings } from './say-findings.ts'

/** Compiles the layers and writes the tree, or says what would be written. Gives the exit code. */
export function renderOnce(invocation: Invocation<'render'>, host: Host): number {
  const { values } = invocation
  const tree = compileTree(invocation, host)
  sayFindings(host, tree, values.format)
  if (tree.artifacts === null) return EXIT.findings
  return writeTree(tree.artifacts, tree.inputs, invocation, host)
}

function writeTree(
  artifacts: NonNullable<CompiledTree['artifacts']>,
  inputs: CompiledTree['inputs'],
  { values }: Invocation<'render'>,
  host: Host,
): number {
  const { out, check, force, json } = values
  const dryRun = check || values['dry-run']
  const result = applyTree({ outputDirectory: out, artifacts, inputs, dryRun, force })
  if (json) host.print(renderJson(out, artifacts, result))
  if (check) return reportDrift(compareTree(out, artifacts), json, host)
  for (const { message, hint } of result.conflicts) host.say(complaint(message, hint))
  if (result.conflicts.length > 0) return EXIT.findings
  if (dryRun && !json) host.print(changeList(result))
  else if (!values.quiet && values.format !== 'json') host.say(renderSummary(out, result))
  return EXIT.done
}

function reportDrift(drift: readonly Drift[], isPrinted: boolean, host: Host): number {
  const lines = drift.map(({ path, message }) => `${path} ${message}\n`)
  if (!isPrinted) host.print(lines.join(''))
  return drift.length > 0 ? EXIT.findings : EXIT.done
}
