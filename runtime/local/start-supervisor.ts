import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import type { Plan } from '../../schema/plan.ts'
import { machinePath } from './required-tools.ts'
import { TREE_VARIABLE } from './tree-processes.ts'

export interface Supervisor {
  readonly pid: number
  /** Resolves when it has ended, with how. */
  readonly ended: Promise<string>
}

/**
 * Starts s6-svscan on the service directories, in a session of its own: a Ctrl-C in the terminal reaches only this
 * process, which then stops the services in order. What it and its supervisors say goes to `<logs>/supervisor.log`.
 */
export async function startSupervisor(plan: Plan, environment: NodeJS.ProcessEnv): Promise<Supervisor> {
  const log = openSync(`${plan.paths.logs}/supervisor.log`, 'a')
  try {
    // Node gives its children default signal dispositions, also where it was itself started with SIGINT ignored.
    const child = spawn('s6-svscan', [plan.paths.services], {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...environment, PATH: machinePath(environment.PATH), [TREE_VARIABLE]: plan.paths.root },
    })
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`))
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    return { pid: child.pid!, ended }
  } finally {
    closeSync(log)
  }
}
