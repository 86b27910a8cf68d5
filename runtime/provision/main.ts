/**
 * The provisioner: `provision.js setup --plan FILE`, or a task by its name. Exit codes: 0 done and verified, 1 something
 * could not be done (its supervisor tries again), 2 usage.
 */
import { parseArgs } from 'node:util'
import { isMainThread } from 'node:worker_threads'
import { loadPlan } from '../shared/load-plan.ts'
import { ORDERS, type TaskOrder } from './framework/task-order.ts'
import { setUpMachine } from './setup.ts'
import { TASKS } from './tasks.ts'

const TASK_NAMES = ['setup', ...Object.keys(TASKS)]

const USAGE = `usage: machine-provision TASK --plan FILE [--dry-run] [--json]
       machine-provision worker-package --plan FILE --update | --rollback
tasks: ${TASK_NAMES.join(', ')}`

interface Request {
  readonly task: string
  readonly planFile: string
  readonly dryRun: boolean
  readonly json: boolean
  readonly order: TaskOrder
}

async function main(): Promise<number> {
  const request = readRequest()
  if (typeof request === 'string') {
    process.stderr.write(`${request}\n${USAGE}\n`)
    return 2
  }
  return request.task === 'setup' ? setUp(request) : provision(request)
}

function setUp({ planFile }: Request): number {
  let problems: readonly string[]
  try {
    problems = setUpMachine(loadPlan(planFile), process.env)
  } catch (error) {
    problems = [(error as Error).message]
  }
  for (const problem of problems) process.stderr.write(`setup: ${problem}\n`)
  return problems.length === 0 ? 0 : 1
}

async function provision({ task, planFile, dryRun, json, order }: Request): Promise<number> {
  try {
    const plan = loadPlan(planFile)
    const [{ runTask }, provisioner] = await Promise.all([import('./framework/run-task.ts'), TASKS[task]!(order)])
    const { stdout, env: environment } = process
    return await runTask({ task, plan, environment, dryRun, json, stdout }, provisioner)
  } catch (error) {
    process.stderr.write(`${task}: ${(error as Error).message}\n`)
    return 1
  }
}

function readRequest(): Request | string {
  try {
    const { positionals, values } = parseArgs({
      options: {
        plan: { type: 'string' },
        'dry-run': { type: 'boolean' },
        json: { type: 'boolean' },
        update: { type: 'boolean' },
        rollback: { type: 'boolean' },
      },
      allowPositionals: true,
    })
    const [task = '', ...others] = positionals
    if (others.length > 0 || !TASK_NAMES.includes(task)) {
      return `cannot run "${positionals.join(' ')}": it is one of ${TASK_NAMES.join(', ')}`
    }
    const { plan: planFile, 'dry-run': dryRun = false, json = false } = values
    if (planFile === undefined) return `cannot run "${task}": --plan FILE is missing`
    if (task === 'setup' && (dryRun || json)) return 'cannot use --dry-run or --json with "setup"'
    if (values.update && values.rollback) return 'cannot use --update and --rollback together'
    const order = values.update ? 'update' : values.rollback ? 'rollback' : 'provision'
    if (order !== 'provision' && !ORDERS[task]?.includes(order)) return `cannot use --${order} with "${task}"`
    return { task, planFile, dryRun, json, order }
  } catch (error) {
    return (error as Error).message
  }
}

if (isMainThread) process.exitCode = await main()
else await import('./download/hash-thread.ts')
