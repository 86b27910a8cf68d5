import type { MachineEvent } from '../../shared/machine-event.ts'
import type { Log } from '../log.ts'
import { createBell } from './bell.ts'
import type { EventJournal, OutboxState } from './event-journal.ts'
import { isProgress } from './journal-record.ts'
import type { OutboxCursor } from './outbox-cursor.ts'
import type { RedisCommand, RedisConnection } from './redis-connection.ts'
import { describeProblem, type ProblemKind, type RedisProblem, retryDelayMs } from './redis-problem.ts'
import type { RedisVoice, StatusCause } from './redis-voice.ts'
import { newestSeq, resumePoint } from './resume-point.ts'

export interface OutboxOptions {
  readonly journal: EventJournal
  readonly cursor: OutboxCursor
  readonly connect: (onClose: () => void) => Promise<RedisConnection>
  /** Hosts and ports, for messages. */
  readonly name: string
  /** Never to be seen in a message. */
  readonly secrets: readonly string[]
  /** Whose newest entry shows what Redis has. */
  readonly stream: string
  readonly voices: readonly RedisVoice[]
  readonly log: Pick<Log, 'info' | 'warn'>
  /** How often the status is said where nothing changes. */
  readonly statusIntervalMs?: number
  /** Redis is there, and has what was to be said at once. */
  readonly onConnected?: () => void
  /** The pause after so many failures in a row. */
  readonly delayMs?: (kind: ProblemKind, failures: number) => number
}

/** Brings the events of the journal to Redis, in order, each at least once. */
export interface Outbox {
  readonly state: () => OutboxState
  /** Number up to which Redis has everything. */
  readonly acknowledged: () => number
  /** Says the status now, though nothing has changed. */
  readonly publishStatus: () => void
  /** The replies to other commands; `null` where Redis is away. It may reject. */
  readonly ask: (commands: readonly RedisCommand[]) => Promise<readonly unknown[] | null>
  /** Waits until everything is out, at most so long, and no moment where Redis is known to be away; then ends. */
  readonly goodbye: (timeoutMs: number) => Promise<void>
}

const BATCH_EVENTS = 256
const BATCH_CHARACTERS = 2 ** 20
/** The status is said again after this, so that it does not expire and a dead connection is noticed. */
const STATUS_INTERVAL_MS = 10_000

export function startOutbox(options: OutboxOptions): Outbox {
  const { journal, cursor, connect, name, secrets, voices, log, delayMs = randomDelayMs } = options
  const { statusIntervalMs = STATUS_INTERVAL_MS } = options
  const work = createBell()
  const pause = createBell()
  let acknowledged = cursor.read()
  let connection: RedisConnection | null = null
  let isClosed = false
  let problem: RedisProblem | null = null
  let said: string | null = null
  let [published, failures, failuresInRow] = [0, 0, 0]
  let due: StatusCause | null = 'initial'
  let statusAtMs = Number.NEGATIVE_INFINITY
  let onIdle = () => {}

  const unfollow = journal.follow(work.ring)

  const succeed = () => {
    if (problem !== null || said === null)
      log.info({ context: { redis: name } }, `publishes events to Redis at ${name}`)
    said ??= ''
    problem = null
    failuresInRow = 0
  }

  const fail = (error: unknown) => {
    failures += 1
    failuresInRow += 1
    problem = describeProblem(error, name, secrets)
    if (problem.message !== said)
      log.warn({ context: { redis: name } }, `${problem.message}; events wait in the journal`)
    said = problem.message
    onIdle()
  }

  /** What a user may not say to others keeps no event from its own stream. */
  const saidForbidden = new Set<string>()
  const forbid = (command: RedisCommand, reply: Error) => {
    const what = `${command[0].toUpperCase()} ${String(command[1]).split(':').slice(0, 2).join(':')}`
    if (saidForbidden.has(what)) return
    saidForbidden.add(what)
    log.warn({ context: { redis: name } }, `cannot announce all to Redis at ${name}: ${reply.message}`)
  }

  const acknowledge = (events: readonly MachineEvent[]) => {
    const last = events.at(-1)
    if (last === undefined) return
    acknowledged = last.seq
    published += events.length
    cursor.note(last.seq)
    if (events.some((event) => !isProgress(event) && event.type !== 'health.digest')) due ??= 'changed'
  }

  const sendEvents = async (open: RedisConnection): Promise<boolean> => {
    const events = journal.since(acknowledged ?? 0, BATCH_EVENTS)
    if (events.length === 0) return false
    const commands = commandsOf(events, voices)
    const replies = await open.send(commands.flat().map(({ command }) => command))
    const failed = firstFailure(commands, replies, forbid)
    acknowledge(events.slice(0, failed?.index ?? commands.length))
    if (failed !== null) throw failed.error
    succeed()
    return true
  }

  const sendStatus = async (open: RedisConnection): Promise<boolean> => {
    const cause = due ?? (performance.now() - statusAtMs >= statusIntervalMs ? 'periodic' : null)
    if (cause === null) return false
    due = null
    statusAtMs = performance.now()
    try {
      const [own, forOthers] = [false, true].map((isForOthers) =>
        voices.filter((voice) => (voice.isForOthers ?? false) === isForOthers).flatMap((voice) => voice.status(cause)),
      )
      await open.transact(own!)
      if (forOthers!.length > 0) {
        const failed = firstFailure([forOthers!.map(asForeign)], await open.send(forOthers!), forbid)
        if (failed !== null) throw failed.error
      }
    } catch (error) {
      due ??= cause
      throw error
    }
    succeed()
    return true
  }

  const session = async () => {
    let isLost = false
    const open = await connect(() => {
      isLost = true
      work.ring()
    })
    connection = open
    // It may be another Redis than before, or one that lost what it had.
    due = 'initial'
    let isNew = true
    try {
      acknowledged = resumePoint(acknowledged, await readNewest(open, options.stream), journal)
      while (!isClosed && !isLost) {
        const hasSent = [await sendEvents(open), await sendStatus(open)].includes(true)
        if (isNew) options.onConnected?.()
        isNew = false
        if (hasSent) continue
        onIdle()
        await work.wait(Math.max(1, statusAtMs + statusIntervalMs - performance.now()))
      }
      if (isLost) throw new Error('the connection was closed')
    } finally {
      connection = null
      open.close()
    }
  }

  const run = async () => {
    while (!isClosed) {
      await session().catch((error) => {
        if (!isClosed) fail(error)
      })
      if (!isClosed) await pause.wait(delayMs(problem?.kind ?? 'away', failuresInRow))
    }
  }

  const end = () => {
    if (isClosed) return
    isClosed = true
    unfollow()
    work.ring()
    pause.ring()
    connection?.close()
    cursor.close()
  }

  void run()
  return {
    state: () => ({
      connected: connection !== null && problem === null,
      depth: Math.max(0, journal.lastSeq() - (acknowledged ?? 0)),
      published,
      failures,
      problem: problem?.message ?? null,
    }),
    acknowledged: () => acknowledged ?? 0,
    publishStatus: () => {
      due ??= 'changed'
      work.ring()
    },
    ask: async (commands) => (connection === null ? null : connection.send(commands)),
    goodbye: async (timeoutMs) => {
      const isDone = () => isClosed || problem !== null || (due === null && (acknowledged ?? 0) >= journal.lastSeq())
      if (!isDone()) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, timeoutMs)
          onIdle = () => {
            if (!isDone()) return
            clearTimeout(timer)
            resolve()
          }
          work.ring()
        })
      }
      end()
    },
  }
}

const randomDelayMs = (kind: ProblemKind, failures: number) => retryDelayMs(kind, failures, Math.random())

interface OutgoingCommand {
  readonly command: RedisCommand
  readonly isForOthers: boolean
}

const asForeign = (command: RedisCommand): OutgoingCommand => ({ command, isForOthers: true })

/** The commands of as many events as go out at once. */
function commandsOf(events: readonly MachineEvent[], voices: readonly RedisVoice[]): (readonly OutgoingCommand[])[] {
  const commands: (readonly OutgoingCommand[])[] = []
  let characters = 0
  for (const event of events) {
    const own = voices.flatMap(({ event: say, isForOthers = false }) =>
      say(event).map((command) => ({ command, isForOthers })),
    )
    commands.push(own)
    characters += own.reduce((sum, { command }) => sum + String(command.at(-1)).length, 0)
    if (characters > BATCH_CHARACTERS) break
  }
  return commands
}

/** The first event of which a command failed, apart from what the user may not say to others. */
function firstFailure(
  commands: readonly (readonly OutgoingCommand[])[],
  replies: readonly unknown[],
  onForbidden: (command: RedisCommand, reply: Error) => void,
): { readonly index: number; readonly error: Error } | null {
  let at = 0
  for (const [index, list] of commands.entries()) {
    for (const { command, isForOthers } of list) {
      const reply = replies[at++]
      if (!(reply instanceof Error)) continue
      if (!isForOthers || !reply.message.startsWith('NOPERM')) return { index, error: reply }
      onForbidden(command, reply)
    }
  }
  return null
}

/** What the stream has. A user who may write and not read it has to be believed that nothing was lost. */
async function readNewest(open: RedisConnection, stream: string): Promise<number | null> {
  const [reply] = await open.send([['xrevrange', stream, '+', '-', 'COUNT', 1]])
  if (!(reply instanceof Error)) return newestSeq(reply)
  if (reply.message.startsWith('NOPERM')) return Number.POSITIVE_INFINITY
  throw reply
}
