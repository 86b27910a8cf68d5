import type { EventDraft } from '../../runtime/shared/machine-event.ts'
import type { OutboxState } from '../../runtime/sidecar/events/event-journal.ts'
import {
  type FileJournal,
  type FileJournalOptions,
  openFileJournal,
} from '../../runtime/sidecar/events/file-journal.ts'
import { type Outbox, type OutboxOptions, startOutbox } from '../../runtime/sidecar/events/outbox.ts'
import { openCursor } from '../../runtime/sidecar/events/outbox-cursor.ts'
import { connectRedis } from '../../runtime/sidecar/events/redis-connection.ts'
import { parseRedisUrl } from '../../runtime/sidecar/events/redis-target.ts'
import { eventStream, streamVoice } from '../../runtime/sidecar/events/redis-voice.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { until } from './local-tree.ts'
import { endAtLast } from './redis-server.ts'

export const MACHINE = 'm'
export const STREAM = eventStream(MACHINE)

export interface JournalAndOutbox {
  readonly journal: FileJournal
  readonly outbox: Outbox
  readonly lines: readonly string[]
  readonly append: (count: number) => void
  readonly untilSent: (timeoutMs?: number) => Promise<unknown>
  readonly untilState: (what: string, fits: (state: OutboxState) => boolean) => Promise<unknown>
  readonly close: () => Promise<void>
}

export interface OutboxSetup {
  readonly root?: string
  readonly url: string
  readonly certificateAuthority?: string | null
  readonly timeoutMs?: number
  readonly delayMs?: OutboxOptions['delayMs']
  readonly journal?: Partial<FileJournalOptions>
}

/** A journal and the way from it to a Redis, as a sidecar has them. */
export function journalAndOutbox(setup: OutboxSetup): JournalAndOutbox {
  const { root = temporaryDirectory(), url, certificateAuthority = null, timeoutMs = 5000, delayMs } = setup
  const paths = { state: `${root}/state`, run: `${root}/run` }
  const target = parseRedisUrl(url)
  const lines: string[] = []
  const note = (_: unknown, message: string) => lines.push(message)
  const cursor = openCursor(paths)
  let outbox: Outbox | null = null
  const journal = openFileJournal({
    paths,
    bootId: 'boot-1',
    machine: MACHINE,
    onProblem: () => {},
    delivered: () => outbox?.acknowledged() ?? cursor.read() ?? 0,
    ...setup.journal,
  })
  const made = startOutbox({
    journal,
    cursor,
    connect: (onClose) => connectRedis({ target, certificateAuthority, connectionName: 'test', timeoutMs, onClose }),
    name: target.name,
    secrets: [target.password ?? ''],
    stream: STREAM,
    voices: [streamVoice(MACHINE, () => ({ machine: MACHINE, seq: journal.lastSeq() }))],
    log: { info: note, warn: note } as unknown as OutboxOptions['log'],
    ...(delayMs === undefined ? {} : { delayMs }),
  })
  outbox = made
  const forget = endAtLast(() => void made.goodbye(0))
  return {
    journal,
    outbox: made,
    lines,
    append: (count) => {
      for (let n = 0; n < count; n++) journal.append(step(journal.lastSeq() + 1))
    },
    untilSent: (timeoutMs = 15_000) => until('all is sent', timeoutMs, () => made.acknowledged() === journal.lastSeq()),
    untilState: (what, fits) => until(what, 15_000, () => fits(made.state())),
    close: async () => {
      await made.goodbye(2000)
      forget()
      journal.close()
    },
  }
}

export const step = (n: number): EventDraft => ({ type: 'operator.action', status: String(n) })
