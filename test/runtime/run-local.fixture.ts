/** Runs a local machine as the command line does: `run-local.fixture.ts PLAN_FILE terminal|lines`. */
import { runLocalMachine } from '../../runtime/local/run-local-machine.ts'

const [planFile, output] = process.argv.slice(2)
process.exitCode = await runLocalMachine({
  planFile: planFile!,
  output: output === 'terminal' ? 'terminal' : 'lines',
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
})
