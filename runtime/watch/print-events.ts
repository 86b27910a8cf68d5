import type { MachineEvent } from '../shared/machine-event.ts'
import { createEventOrder, type MissingEvents } from './event-order.ts'
import { followStream, redisTimeMs } from './follow-stream.ts'
import type { Since } from './since.ts'
import { STREAM_START, type StreamEntry } from './stream-entry.ts'
import type { Source } from './watch.ts'

export interface PrintOptions {
  readonly source: Source
  readonly since: Since
  readonly isOnce: boolean
  readonly isWanted: (event: MachineEvent) => boolean
  /** Resolves when the text is out. */
  readonly write: (text: string) => Promise<void>
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

/** Events as NDJSON, each once and in order: those since a moment, then each new one. What goes wrong is said in words. */
export async function printEvents(options: PrintOptions): Promise<void> {
  const { source, since, isWanted, write, say } = options
  const order = createEventOrder(since.kind === 'seq' ? since.seq : null)
  const beganAtMs = performance.now()
  let unreadable = 0
  const refuse = (id: string): string => {
    unreadable += 1
    if (unreadable === 1) say(`cannot read entry ${id} of "${source.stream}": it is no event; others like it go unsaid`)
    return ''
  }
  const lineOf = ({ id, event }: StreamEntry): string => {
    if (event === null) return refuse(id)
    const { isNew, missing } = order.note(event)
    if (missing !== null) say(describeMissing(missing))
    if (!isNew || !isWanted(event)) return ''
    const line = eventLine(event)
    return line === null ? refuse(id) : `${line}\n`
  }
  await followStream({
    ...source,
    ...createVoice(say),
    isOnce: options.isOnce,
    signal: options.signal,
    begin: async (open) => {
      if (since.kind === 'all' || since.kind === 'seq') return STREAM_START
      if (since.kind === 'time') return `${Math.max(0, since.ms - 1)}-0`
      const nowMs = (await redisTimeMs(open)) - (performance.now() - beganAtMs)
      return `${Math.max(0, Math.floor(nowMs) - since.ms)}-0`
    },
    take: async (entries) => {
      const text = entries.map(lineOf).join('')
      if (text !== '') await write(text)
    },
  })
  if (unreadable > 1) say(`${unreadable} entries of "${source.stream}" were no events`)
}

function describeMissing({ machine, firstSeq, lastSeq }: MissingEvents): string {
  const count = lastSeq - firstSeq + 1
  const name = JSON.stringify(machine)
  return `${count} events of ${name} (${firstSeq} to ${lastSeq}) are missing: the stream does not have them any more`
}

/** Says each problem once, and when it is over. */
function createVoice(say: (line: string) => void) {
  let said: string | null = null
  let sinceMs = 0
  return {
    onProblem: ({ message }: { readonly message: string }) => {
      if (said === null) sinceMs = performance.now()
      if (message !== said) say(`${message}; goes on from the last event when it can`)
      said = message
    },
    onReading: () => {
      if (said !== null) say(`reads again after ${Math.round((performance.now() - sinceMs) / 1000)} s`)
      said = null
    },
  }
}

/**
 * JSON that a terminal shows and does not obey: what would steer it is escaped, as JSON may escape any character. `null`
 * for what is nested so deeply that nobody could read it again.
 */
export function eventLine(event: MachineEvent): string | null {
  try {
    return JSON.stringify(event).replace(STEERING, (character) => {
      return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
    })
  } catch {
    return null
  }
}

/** Beyond what JSON escapes anyway: controls, line separators, marks of direction. */
const STEERING = /[\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g
