import { writeSync } from 'node:fs'

/** What a verb may touch beside files. */
export interface Host {
  readonly environment: NodeJS.ProcessEnv
  /** Of the built files. */
  readonly programDirectory: string
  /** Results. */
  readonly print: (text: string) => void
  /** Talk: progress, findings, complaints. */
  readonly say: (text: string) => void
}

/** The process as a host: everything is written at once, so that nothing is lost at an exit. */
export function processHost(programDirectory: string): Host {
  return {
    environment: process.env,
    programDirectory,
    print: (text) => writeAll(1, text),
    say: (text) => writeAll(2, text),
  }
}

/** How long to wait for the reader of a full pipe that does not block. */
const PIPE_RETRY_MS = 2

function writeAll(descriptor: 1 | 2, text: string): void {
  const bytes = Buffer.from(text)
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(descriptor, bytes, written)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Nobody reads on, or the terminal was closed: there is nobody to tell either.
      if (code === 'EPIPE' || code === 'EIO') return
      if (code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PIPE_RETRY_MS)
    }
  }
}

/**
 * Whether text for a descriptor may have colour: on a terminal, unless NO_COLOR (https://no-color.org) or a dumb terminal
 * say no; FORCE_COLOR decides alone.
 */
export function wantsColor(environment: NodeJS.ProcessEnv, isTerminal: () => boolean): boolean {
  const { FORCE_COLOR: forced, NO_COLOR: refused, TERM: terminal } = environment
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  if (refused !== undefined && refused !== '') return false
  return terminal !== 'dumb' && isTerminal()
}
