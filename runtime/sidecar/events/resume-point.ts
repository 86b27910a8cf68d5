import type { EventJournal } from './event-journal.ts'
import { STREAM_LENGTH } from './redis-voice.ts'

/**
 * The number after which sending goes on, with a Redis that was just reached. `acknowledged` is what it has confirmed, as far
 * as anybody knows; `newest` is the newest event in its stream (`null`: it has none, infinite: it may not be read). A Redis that lost what it
 * had confirmed gets it again, as much as its stream holds; whoever reads the stream knows events by their number.
 */
export function resumePoint(
  acknowledged: number | null,
  newest: number | null,
  journal: Pick<EventJournal, 'firstSeq' | 'lastSeq'>,
): number {
  const known = acknowledged === null ? null : Math.min(acknowledged, journal.lastSeq())
  const whole = Math.max(journal.firstSeq() - 1, journal.lastSeq() - STREAM_LENGTH)
  if (newest === null) return Math.min(known ?? whole, whole)
  // From another life of the machine, whose volume is gone; or nobody may know.
  if (newest > journal.lastSeq()) return known ?? whole
  return known === null ? Math.max(newest, journal.firstSeq() - 1) : Math.min(known, Math.max(newest, whole))
}

/** The number of the newest event, from the answer to `XREVRANGE <stream> + - COUNT 1`. */
export function newestSeq(reply: unknown): number | null {
  const fields = Array.isArray(reply) ? (reply[0] as [string, string[]] | undefined)?.[1] : undefined
  const text = fields?.[fields.indexOf('event') + 1]
  if (text === undefined) return null
  try {
    const { seq } = JSON.parse(text) as { seq?: unknown }
    return Number.isSafeInteger(seq) ? (seq as number) : null
  } catch {
    return null
  }
}
