import type { EventType, MachineEvent } from '../../shared/machine-event.ts'
import type { RedisCommand } from './redis-connection.ts'

/** Why the status is said: the first time, because nothing was said for a while, or because it changed. */
export type StatusCause = 'initial' | 'periodic' | 'changed'

/** One way in which a machine speaks to Redis. All ways hear the same events in the same order. */
export interface RedisVoice {
  /** It speaks to consumers of the first machines: a user of Redis without the rights for that goes without it. */
  readonly isForOthers?: boolean
  readonly event: (event: MachineEvent) => readonly RedisCommand[]
  readonly status: (cause: StatusCause) => readonly RedisCommand[]
}

/** Entries that the stream of a machine keeps, about; a day of a quiet machine, some minutes of a long download. */
export const STREAM_LENGTH = 10_000

/** Of all machines together. */
export const FLEET_STREAM_LENGTH = 50_000

/** A machine that vanished without a word is gone after this. */
export const STATUS_TTL_SECONDS = 30

/** The history of a machine that vanished is gone after this. */
const STREAM_TTL_SECONDS = 7 * 24 * 3600

export const FLEET_STREAM = 'machines:events'
export const ANNOUNCE_CHANNEL = 'worker:announce'

export function eventStream(machine: string): string {
  return `machine:${machine}:events`
}

export function statusKey(machine: string): string {
  return `machine:${machine}:status`
}

/** What listeners of `worker:announce` hear: the life of workers and machines; all else is in the streams. */
export function isAnnounced(type: EventType): boolean {
  return type === 'worker.state' || type.startsWith('machine.')
}

/** Fields of the status hash. */
export type StatusFields = Readonly<Record<string, string | number>>

/**
 * The project's own way: a stream a machine and one of all machines, whose entries have the field `event`; the channel
 * `worker:announce`; a hash with the status, which expires.
 */
export function streamVoice(machine: string, status: () => StatusFields): RedisVoice {
  const stream = eventStream(machine)
  const key = statusKey(machine)
  return {
    event: (event) => {
      const text = JSON.stringify(event)
      const entries: RedisCommand[] = [
        ['xadd', stream, 'MAXLEN', '~', STREAM_LENGTH, '*', 'event', text],
        ['xadd', FLEET_STREAM, 'MAXLEN', '~', FLEET_STREAM_LENGTH, '*', 'event', text],
      ]
      return isAnnounced(event.type) ? [...entries, ['publish', ANNOUNCE_CHANNEL, text]] : entries
    },
    status: () => [
      ['hset', key, ...Object.entries(status()).flat()],
      ['expire', key, STATUS_TTL_SECONDS],
      ['expire', stream, STREAM_TTL_SECONDS],
    ],
  }
}
