import type { ReadStream, WriteStream } from 'node:tty'

export interface Output {
  /** Aborted by Ctrl-C, by SIGTERM or SIGHUP, by `q`, and when nobody reads on. */
  readonly signal: AbortSignal
  /** Resolves when the text is out, or nobody wants it any more. */
  readonly write: (text: string) => Promise<void>
  readonly close: () => void
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What this process writes to, and what tells it to end. `keys`: a terminal whose keys are read one by one. */
export function openOutput(stdout: WriteStream, keys: ReadStream | null): Output {
  const controller = new AbortController()
  const { signal } = controller
  const abort = () => controller.abort()
  for (const name of SIGNALS) process.on(name, abort)
  // A pipe that nobody reads, a terminal that was closed: there is nobody to tell either.
  stdout.on('error', abort)
  const releaseKeys = keys?.isTTY ? listenForKeys(keys, abort) : () => {}
  return {
    signal,
    write: (text) => {
      if (signal.aborted) return Promise.resolve()
      return new Promise((resolve) => {
        const done = () => {
          signal.removeEventListener('abort', done)
          resolve()
        }
        signal.addEventListener('abort', done)
        stdout.write(text, done)
      })
    },
    close: () => {
      releaseKeys()
      for (const name of SIGNALS) process.off(name, abort)
    },
  }
}

/** A terminal that gives each key as it is typed sends no signals for Ctrl-C. */
function listenForKeys(stdin: ReadStream, abort: () => void): () => void {
  const listen = (keys: Buffer) => {
    if (/^\u001b$|[qQ\u0003\u0004]/.test(keys.toString('latin1'))) abort()
  }
  stdin.setRawMode(true)
  stdin.on('data', listen)
  stdin.on('error', abort)
  stdin.on('end', abort)
  stdin.resume()
  return () => {
    stdin.off('data', listen)
    stdin.setRawMode(false)
    stdin.pause()
  }
}
