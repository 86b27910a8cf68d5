import { createLineJoiner, type PrintedLine } from './join-lines.ts'
import { closeFiles, openLogFiles } from './log-files.ts'
import { type LogPosition, type LogTail, tailAfter, tailFrom, tailFromStart } from './log-tail.ts'
import { openLogText, usedBytes } from './log-text.ts'
import { createWake } from './wake.ts'

export interface FollowDirectoryOptions {
  /** With the oldest line that there is, only with lines that come from now on, or at a place noted before. */
  readonly from: 'start' | 'end' | LogPosition
  /** New lines, oldest first, without stamps; characters are bytes. Reading goes on when the promise is resolved. */
  readonly onLines: (lines: readonly PrintedLine[]) => void | Promise<void>
  /** What kept it from reading; it tries again. */
  readonly onError?: (error: Error) => void
}

export interface FollowedDirectory {
  /** Behind the last line that was given out; `null` before the first file. */
  readonly position: () => LogPosition | null
  /** No line is given out any more. */
  readonly close: () => void
}

/** How long a follower sleeps if nothing is heard. */
export const SLEEP_MS = 1000

/**
 * Gives all lines that s6-log writes to a directory, each once, across rotations: for a program that counts them. Between
 * changes it costs next to nothing; nothing is recognised or joined to tracebacks.
 */
export function followLogDirectory(directory: string, options: FollowDirectoryOptions): FollowedDirectory {
  let tail: LogTail | null = null
  let position: LogPosition | null = null
  let isClosed = false
  const wake = createWake([directory])
  const joiner = createLineJoiner()

  const readAll = async () => {
    tail ??= await openTail(directory, options.from)
    position ??= tail.position(0)
    for (;;) {
      const text = isClosed ? '' : await tail.read()
      if (text === '' || isClosed) return
      const lines = joiner.push(text)
      if (lines.length === 0) continue
      position = tail.position(joiner.unusedBytes())
      await options.onLines(lines)
    }
  }
  const run = async () => {
    while (!isClosed) {
      try {
        await readAll()
      } catch (error) {
        options.onError?.(error as Error)
      }
      await wake.wait(SLEEP_MS)
    }
    tail?.close()
  }
  void run()
  return {
    position: () => position,
    close: () => {
      isClosed = true
      wake.close()
    },
  }
}

async function openTail(directory: string, from: FollowDirectoryOptions['from']): Promise<LogTail> {
  if (from === 'start') return tailFromStart(directory)
  return from === 'end' ? await tailFromEnd(directory) : await tailFrom(directory, from)
}

async function tailFromEnd(directory: string): Promise<LogTail> {
  const files = await openLogFiles(directory)
  const log = await openLogText(files, Date.now())
  log.close()
  closeFiles(files.slice(0, -1))
  return await tailAfter(directory, files, usedBytes(log))
}
