import { createLineGrouper, type LogEntry } from './group-lines.ts'
import { createLineJoiner, type PrintedLine } from './join-lines.ts'

export interface EntryReader {
  /** The entries that `text` shows to be complete. */
  readonly push: (text: string) => LogEntry[]
  /** What may still be continued. */
  readonly end: () => LogEntry[]
  /** The same where more text may come: half a line still waits for its rest. */
  readonly settle: () => LogEntry[]
  readonly isEmpty: () => boolean
}

/** Makes entries of the text of a log, which may come in any portions; a character is a byte. */
export function createEntryReader(): EntryReader {
  const joiner = createLineJoiner()
  const grouper = createLineGrouper()
  const group = (lines: readonly PrintedLine[]) => {
    const entries: LogEntry[] = []
    for (const line of lines) {
      const entry = grouper.push(line)
      if (entry !== null) entries.push(entry)
    }
    return entries
  }
  const finish = (lines: readonly PrintedLine[]) => {
    const entries = group(lines)
    const last = grouper.end()
    return last === null ? entries : [...entries, last]
  }
  return {
    push: (text) => group(joiner.push(text)),
    end: () => finish(joiner.end()),
    settle: () => finish(joiner.settle()),
    isEmpty: () => joiner.isEmpty() && grouper.isEmpty(),
  }
}
