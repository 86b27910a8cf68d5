import type { Environment } from '../../schema/interpolation.ts'
import type { Terminal } from '../shared/terminal-block.ts'

/** Where a command writes, and what it is told by its surroundings. */
export interface Console {
  /** Results. */
  readonly out: (text: string) => void
  /** Everything else. */
  readonly say: (line: string) => void
  readonly stdout: Terminal & { readonly isTTY?: boolean }
  readonly isColored: boolean
  readonly environment: Environment
  /** Aborted by Ctrl-C, by SIGTERM, and when nobody reads on. */
  readonly signal: AbortSignal
}

/** The console of this process. Once nobody reads what it prints, it ends quietly. */
export function openConsole(): Console {
  const { stdout, stderr, env } = process
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => controller.abort(signal))
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      controller.abort('EPIPE')
    })
  }
  return {
    out: (text) => void stdout.write(text),
    say: (line) => void stderr.write(`${line}\n`),
    stdout,
    isColored: stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
    environment: env,
    signal: controller.signal,
  }
}

/** Columns to fit into; `null` where there is no terminal. */
export function widthOf({ stdout }: Console): number | null {
  return stdout.isTTY ? stdout.columns || 80 : null
}

/** Cuts what a program must not leave on a terminal: its control characters. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '')
}
