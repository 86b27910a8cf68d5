import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { killTree } from './process-tree.ts'

export interface CommandOptions {
  readonly cwd?: string
  /** The whole environment of the command; default: that of this process. */
  readonly env?: NodeJS.ProcessEnv
  /** Gets each line that it says, on either stream. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void
  /** Text for its standard input, which is empty by default. */
  readonly input?: string
  /** After this it is killed, with a result that says so. */
  readonly timeoutMs?: number
}

export interface CommandResult {
  /** 0 to 255; `null` where a signal ended it or it never ran. */
  readonly code: number | null
  /** Why it has no exit code, or `null`. */
  readonly problem: string | null
  /** Its last lines of both streams, for messages. */
  readonly lastLines: readonly string[]
}

const KEPT_LINES = 20
const running = new Set<ChildProcess>()
let isPrepared = false

/** Has a program end with this one, also where that ends by a signal. */
export function trackChild(child: ChildProcess): void {
  running.add(child)
  child.on('close', () => running.delete(child))
}

/** Runs a program without a shell, to its end. Never throws; a program that is not there is a `problem`. */
export function runCommand(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [program = '', ...args] = command
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
  })
  running.add(child)
  const lastLines: string[] = []
  for (const stream of ['stdout', 'stderr'] as const) {
    createInterface({ input: child[stream] }).on('line', (line) => {
      lastLines.push(line)
      if (lastLines.length > KEPT_LINES) lastLines.shift()
      options.onLine?.(line, stream)
    })
  }
  // A program that ends without reading its input is no error of ours.
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  return settle(child, program, lastLines, options.timeoutMs)
}

function settle(
  child: ChildProcess,
  program: string,
  lastLines: readonly string[],
  timeoutMs: number | undefined,
): Promise<CommandResult> {
  return new Promise((resolve) => {
    let isLate = false
    const expire = () => {
      isLate = true
      if (child.pid !== undefined) killTree(child.pid)
    }
    const timer = timeoutMs === undefined ? undefined : setTimeout(expire, timeoutMs)
    const finish = (code: number | null, problem: string | null) => {
      clearTimeout(timer)
      running.delete(child)
      resolve({ code, problem, lastLines })
    }
    child.on('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'ENOENT' ? 'it is not installed' : error.message
      finish(null, `cannot run "${program}": ${why}`)
    })
    child.on('close', (code, signal) => {
      const ended = isLate ? `did not end within ${(timeoutMs ?? 0) / 1000} s` : `was ended by ${signal}`
      finish(code, signal === null ? null : `"${program}" ${ended}`)
    })
  })
}

/**
 * From now on a signal that asks for the end takes effect at once, and takes the programs that this one has started with
 * it: the whole process group where this process leads it, as under a supervisor or in a terminal.
 */
export function endWithChildren(): void {
  if (isPrepared) return
  isPrepared = true
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.once(signal, () => {
      if (leadsGroup()) process.kill(-process.pid, signal)
      for (const child of running) child.kill('SIGTERM')
      process.kill(process.pid, signal)
    })
  }
}

/** Field 5 of proc_pid_stat(5) is the group. */
function leadsGroup(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2] === String(process.pid)
  } catch {
    return false
  }
}
