import { existsSync } from 'node:fs'
import { endLeftovers, runLocalMachine } from '../../../runtime/local/run-local-machine.ts'
import { applyTree } from '../../write/apply.ts'
import { compileMachine } from '../compile-machine.ts'
import { complaint, EXIT } from '../failure.ts'
import type { Host } from '../host.ts'
import type { Invocation } from '../invocation.ts'
import { hasError, sayFindings } from '../say-findings.ts'

/** `up`: renders the local target into its state directory and runs it until it is told to stop. */
export async function run({ words, values }: Invocation<'up'>, host: Host): Promise<number> {
  const { compilation } = compileMachine({ words, values: { ...values, target: 'local' } }, host)
  const { plan, artifacts, diagnostics } = compilation
  sayFindings(host, compilation, values.format)
  if (plan === null || hasError(diagnostics)) return EXIT.findings
  const planFile = `${plan.paths.config}/plan.json`
  await endEarlierRun(planFile, host)
  const { conflicts } = applyTree({ outputDirectory: plan.paths.root, artifacts })
  for (const { message, hint } of conflicts) host.say(complaint(message, hint))
  if (conflicts.length > 0) return EXIT.findings
  surviveClosedTerminal()
  return runLocalMachine({
    planFile,
    output: process.stdout.isTTY ? 'terminal' : 'lines',
    stdout: process.stdout,
    stderr: process.stderr,
    environment: host.environment,
  })
}

/** A terminal that was closed takes no more text; the machine must be stopped all the same. */
function surviveClosedTerminal(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
}

/** A tree must not change under a machine that still runs from it. */
async function endEarlierRun(planFile: string, host: Host): Promise<void> {
  if (!existsSync(planFile)) return
  try {
    await endLeftovers(planFile, (line) => host.say(`up: ${line}\n`))
  } catch (error) {
    // A plan that no version of this wrote runs nothing; it is replaced.
    host.say(`up: ${(error as Error).message}\n`)
  }
}
