import { type ChildProcess, spawn } from 'node:child_process'

export type Output =
  /** `text` may hold complaints beside what was asked for, and `exitCode` need not be 0 for that. */
  | { readonly kind: 'text'; readonly text: string; readonly exitCode: number | null }
  | { readonly kind: 'none'; readonly problem: string }

/** nvidia-smi with these arguments; never throws. */
export type NvidiaSmi = (args: readonly string[]) => Promise<Output>

/** `close` ends a run that goes on, at the end of the sidecar. */
export type ClosableNvidiaSmi = NvidiaSmi & { readonly close?: () => void }

/** Eight GPUs answer in 5 KB; processes are a line each. */
const MAX_OUTPUT_CHARS = 256 * 1024

/** Eight GPUs without persistence mode take three seconds. */
const TIMEOUT_MS = 8000

/**
 * A runner of nvidia-smi: one at a time, others wait their turn. One that does not answer in time is killed; as long as even
 * that does not end it (the driver hangs, the process is in the kernel) no other is started.
 */
export function createNvidiaSmi(program = 'nvidia-smi', timeoutMs = TIMEOUT_MS): ClosableNvidiaSmi {
  let stuck: { readonly child: ChildProcess; readonly since: string } | null = null
  let running: ChildProcess | null = null
  let turn: Promise<unknown> = Promise.resolve()

  const runOnce = async (args: readonly string[]): Promise<Output> => {
    if (stuck !== null) return { kind: 'none', problem: `${program} hangs since ${stuck.since} and cannot be killed` }
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    running = child
    child.once('exit', () => {
      if (stuck?.child === child) stuck = null
    })
    const output = await answerOf(child, program, timeoutMs)
    running = null
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      stuck = { child, since: new Date().toISOString() }
    }
    return output
  }

  const run: NvidiaSmi = (args) => {
    const result = turn.then(() => runOnce(args))
    turn = result
    return result
  }
  return Object.assign(run, { close: () => void running?.kill('SIGKILL') })
}

/** How long a killed process may take to be gone before it counts as stuck. */
const KILL_GRACE_MS = 500

function answerOf(child: ChildProcess, program: string, timeoutMs: number): Promise<Output> {
  return new Promise((resolve) => {
    let text = ''
    let isTimedOut = false
    const take = (chunk: string) => {
      if (text.length < MAX_OUTPUT_CHARS) text += chunk
    }
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', take)
    const late = () => ({ kind: 'none', problem: `${program} did not answer within ${timeoutMs / 1000} s` }) as const
    let timer = setTimeout(() => {
      isTimedOut = true
      child.kill('SIGKILL')
      timer = setTimeout(() => settle(late()), KILL_GRACE_MS)
    }, timeoutMs)
    const settle = (output: Output) => {
      clearTimeout(timer)
      for (const stream of [child.stdout, child.stderr]) stream?.destroy()
      child.unref()
      resolve(output)
    }
    child.once('error', (error: NodeJS.ErrnoException) => {
      const problem = error.code === 'ENOENT' ? `${program} is not installed` : error.message
      settle({ kind: 'none', problem })
    })
    // A grandchild may hold the pipes open: after its end, what has come by then is the answer.
    child.once('close', (exitCode) => settle(isTimedOut ? late() : { kind: 'text', text, exitCode }))
    child.once('exit', (exitCode) => {
      setTimeout(() => settle(isTimedOut ? late() : { kind: 'text', text, exitCode }), KILL_GRACE_MS).unref()
    })
  })
}
