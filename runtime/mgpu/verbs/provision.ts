import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import type { Command } from '../context.ts'
import { EXIT } from '../failure.ts'
import { noteOperation } from '../note-operation.ts'

const ARGUMENTS = {
  setup: ['setup'],
  update: ['worker-package', '--update'],
  rollback: ['worker-package', '--rollback'],
}

/** `setup`, `update`, `rollback`: what the provisioner does at a boot, by hand. */
export const run: Command = async ({ plan, planFile, request, console }) => {
  const verb = request.verb as keyof typeof ARGUMENTS
  const program = `${plan.paths.programs}/provision.js`
  if (!existsSync(program)) throw new Error(`cannot run "${verb}": there is no "${program}"`)
  const operation = { verb, name: null, gpu: null, services: [], reason: null }
  const note = noteOperation(plan.paths, operation, console.environment)
  if (note !== null) console.say(`mgpu: ${note}`)
  const child = spawn(process.execPath, [program, ...ARGUMENTS[verb], '--plan', planFile], { stdio: 'inherit' })
  // Ctrl-C reaches it by itself; a signal for this process alone is passed on.
  console.signal.addEventListener('abort', () => child.kill('SIGTERM'))
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
  })
  if (exitCode === 0 && verb === 'setup') console.out('done\n')
  return exitCode === 0 ? EXIT.done : exitCode === 2 ? EXIT.failed : EXIT.findings
}
