/**
 * The provisioner: `provision.js setup --plan FILE`. Exit codes: 0 done, 1 something could not be done (on stderr, all of
 * it), 2 usage.
 */
import { parseArgs } from 'node:util'
import { loadPlan } from '../shared/load-plan.ts'
import { setUpMachine } from './setup.ts'

const USAGE = 'usage: provision setup --plan FILE'

function main(): number {
  const request = readRequest()
  if (typeof request === 'string') {
    process.stderr.write(`${request}\n${USAGE}\n`)
    return 2
  }
  let problems: readonly string[]
  try {
    problems = setUpMachine(loadPlan(request.planFile), process.env)
  } catch (error) {
    problems = [(error as Error).message]
  }
  for (const problem of problems) process.stderr.write(`setup: ${problem}\n`)
  return problems.length === 0 ? 0 : 1
}

function readRequest(): { readonly planFile: string } | string {
  try {
    const { positionals, values } = parseArgs({ options: { plan: { type: 'string' } }, allowPositionals: true })
    if (positionals.length !== 1 || positionals[0] !== 'setup')
      return `cannot run "${positionals.join(' ')}": there is only "setup"`
    return values.plan === undefined ? 'cannot set up: --plan FILE is missing' : { planFile: values.plan }
  } catch (error) {
    return (error as Error).message
  }
}

process.exitCode = main()
