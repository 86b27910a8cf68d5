import { mkdirSync } from 'node:fs'
import type { Plan } from '../../schema/plan.ts'
import { setUpMachine } from '../provision/setup.ts'
import { loadPlan } from '../shared/load-plan.ts'
import type { Terminal } from '../shared/terminal-block.ts'
import { followProgress } from './boot-progress.ts'
import { type BootReport, createLineReport, createTableReport } from './boot-report.ts'
import { findTakenPorts, plannedPorts } from './planned-ports.ts'
import { describeMissing, machinePath, missingTools } from './required-tools.ts'
import { type Supervisor, startSupervisor } from './start-supervisor.ts'
import { lockState } from './state-lock.ts'
import { isMachineRunning, killMachine, stopMachine } from './stop-machine.ts'

export interface LocalMachineOptions {
  /** `<state>/config/plan.json` of a tree that was rendered for the local target. */
  readonly planFile: string
  /** `terminal`: a table repainted in place; `lines`: a line for each thing that happens. */
  readonly output: 'terminal' | 'lines'
  readonly stdout: Terminal
  readonly stderr: { readonly write: (text: string) => unknown }
  readonly environment: NodeJS.ProcessEnv
}

const EXIT_DONE = 0
const EXIT_FINDINGS = 1
const EXIT_FAILED = 3

/**
 * Runs a machine in the foreground until SIGINT, SIGTERM or SIGHUP, then stops it in order; a second signal kills it.
 * Gives the exit code: 0 after a stop, 1 if it could not be set up, 3 if it could not run or was killed.
 *
 * What a killed `up` left behind on the same state directory is ended first.
 */
export async function runLocalMachine(options: LocalMachineOptions): Promise<number> {
  const complain = (line: string) => options.stderr.write(`up: ${line}\n`)
  let plan: Plan
  try {
    plan = loadPlan(options.planFile)
  } catch (error) {
    complain((error as Error).message)
    return EXIT_FAILED
  }
  const missing = missingTools(plan, machinePath(options.environment.PATH))
  if (missing.length > 0) {
    for (const one of missing) complain(describeMissing(one))
    return EXIT_FAILED
  }
  const lock = lockState(plan.paths.root)
  if ('heldBy' in lock) {
    complain(`cannot run the machine in "${plan.paths.root}": process ${lock.heldBy} runs it already`)
    return EXIT_FAILED
  }
  try {
    return await runLocked(plan, options, complain)
  } finally {
    lock.release()
  }
}

/**
 * Ends what a killed `up` left running in a state directory, in order; to be called before a new tree is rendered over the
 * one that it runs from. Gives the pid of an `up` that is still there and whose tree must be left alone, else `null`.
 */
export async function endLeftovers(planFile: string, report: (line: string) => void): Promise<number | null> {
  const plan = loadPlan(planFile)
  const lock = lockState(plan.paths.root)
  if ('heldBy' in lock) return lock.heldBy
  try {
    if (isMachineRunning(plan)) await stopMachine(plan, report)
    return null
  } finally {
    lock.release()
  }
}

async function runLocked(plan: Plan, options: LocalMachineOptions, complain: (line: string) => void): Promise<number> {
  if (isMachineRunning(plan)) {
    complain(`ends what an earlier run left in "${plan.paths.root}"`)
    await stopMachine(plan, complain)
  }
  const taken = await findTakenPorts(plannedPorts(plan))
  const problems = taken.length > 0 ? taken : setUpMachine(plan, options.environment)
  if (problems.length > 0) {
    for (const problem of problems) complain(problem)
    return taken.length > 0 ? EXIT_FAILED : EXIT_FINDINGS
  }
  mkdirSync(plan.paths.logs, { recursive: true })
  return await superviseUntilStopped(plan, options, complain)
}

async function superviseUntilStopped(
  plan: Plan,
  { output, stdout, environment }: LocalMachineOptions,
  complain: (line: string) => void,
): Promise<number> {
  const signals = listenForSignals()
  try {
    const startedAtMs = Date.now()
    const supervisor = await startSupervisor(plan, environment)
    const report = (output === 'terminal' ? createTableReport : createLineReport)({ plan, stdout, startedAtMs })
    const progress = followProgress(plan, report.changed)
    try {
      // A line on stderr would tear the table.
      return await waitAndStop(plan, supervisor, signals, report, output === 'terminal' ? report.say : complain)
    } finally {
      progress.close()
      report.close()
    }
  } catch (error) {
    complain(`cannot run the machine: ${(error as Error).message}`)
    await killMachine(plan)
    return EXIT_FAILED
  } finally {
    signals.close()
  }
}

async function waitAndStop(
  plan: Plan,
  supervisor: Supervisor,
  signals: Signals,
  report: BootReport,
  complain: (line: string) => void,
): Promise<number> {
  const first = await Promise.race([signals.next(), supervisor.ended.then((how) => ({ ended: how }))])
  if (typeof first === 'object') {
    complain(`cannot go on: s6-svscan has ended (${first.ended}); see "${plan.paths.logs}/supervisor.log"`)
    await stopMachine(plan, complain)
    return EXIT_FAILED
  }
  report.say(`${first}: stops the machine; a second one kills it`)
  let killing: Promise<void> | null = null
  signals.next().then(() => {
    report.say('kills the machine')
    killing = killMachine(plan)
  })
  // With everything killed there is nothing left to stop either, so that this ends in both cases.
  await stopMachine(plan, complain)
  if (killing === null) return EXIT_DONE
  await killing
  return EXIT_FAILED
}

interface Signals {
  /** The next signal that asks for the end. */
  readonly next: () => Promise<NodeJS.Signals>
  readonly close: () => void
}

/** SIGHUP is what a closed terminal sends: the machine stops with it. */
const END_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

function listenForSignals(): Signals {
  const waiting: ((signal: NodeJS.Signals) => void)[] = []
  const early: NodeJS.Signals[] = []
  const listener = (signal: NodeJS.Signals) => {
    const resolve = waiting.shift()
    if (resolve === undefined) early.push(signal)
    else resolve(signal)
  }
  for (const signal of END_SIGNALS) process.on(signal, listener)
  return {
    next: () =>
      new Promise((resolve) => {
        const signal = early.shift()
        if (signal === undefined) waiting.push(resolve)
        else resolve(signal)
      }),
    close: () => {
      for (const signal of END_SIGNALS) process.off(signal, listener)
    },
  }
}
