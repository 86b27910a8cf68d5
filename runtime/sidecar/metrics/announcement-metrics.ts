import type { JournalCounts, OutboxState } from '../events/event-journal.ts'
import { type Family, single } from './exposition.ts'

/** Events of the machine, and how far they have come on their way out. */
export function announcementFamilies(journal: JournalCounts | null, outbox: OutboxState | null): readonly Family[] {
  const one = (type: Family['type'], name: string, help: string, value: number | undefined): Family => ({
    name: `machine_${name}`,
    type,
    help,
    samples: value === undefined ? [] : single(value),
  })
  const connected = outbox === null ? undefined : Number(outbox.connected)
  return [
    one('counter', 'events_appended', 'Events that were taken into the journal.', journal?.appended),
    one('counter', 'events_dropped', 'Events that the journal had no room to keep.', journal?.dropped),
    one('gauge', 'events_journal_bytes', 'Size of the journal.', journal?.bytes),
    one('gauge', 'outbox_depth', 'Events that wait to be sent to Redis.', outbox?.depth),
    one('gauge', 'outbox_connected', 'Whether Redis takes events now.', connected),
    one('counter', 'events_published', 'Events that Redis has taken.', outbox?.published),
    one('counter', 'outbox_failures', 'Attempts to send events that failed.', outbox?.failures),
  ]
}
