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
  const { compilation } = compileMachine({ words, values: { ...values, target: 'local', root: undefined } }, host)
  const { plan, artifacts, diagnostics } = compilation
  sayFindings(host, compilation, values.format)
  if (plan === null || hasError(diagnostics)) return EXIT.findings
  const planFile = `${plan.paths.config}/plan.json`
  const heldBy = await endEarlierRun(planFile, host)
  if (heldBy !== null) {
    host.say(
      complaint(
        `cannot run "${plan.paths.root}": the machine of process ${heldBy} runs from it`,
        'stop that one, or use another --state-dir',
      ),
    )
    return EXIT.findings
  }
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

/** A tree must not change under a machine that still runs from it: gives the process that runs one, if any. */
async function endEarlierRun(planFile: string, host: Host): Promise<number | null> {
  if (!existsSync(planFile)) return null
  try {
    return await endLeftovers(planFile, (line) => host.say(`up: ${line}\n`))
  } catch (error) {
    // A plan that no version of this wrote runs nothing; it is replaced.
    host.say(`up: ${(error as Error).message}\n`)
    return null
  }
}
