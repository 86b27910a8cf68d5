import type { MachineEvent } from '../../../shared/machine-event.ts'
import type { FileJournal } from '../file-journal.ts'
import type { RedisCommand } from '../redis-connection.ts'
import type { RedisVoice } from '../redis-voice.ts'
import { type StartupFacts, type StartupMessage, startupMessage } from './startup-messages.ts'
import { hearStartup, type StartupNotice, type StartupProgress, unknownStartup } from './startup-progress.ts'

/** Both generations of job workers say their own goodbye on it too. */
export const STARTUP_CHANNEL = 'machine:startup:events'

const RECORD_SECONDS = 86_400
const PAGE = 1000

export interface StartupVoice extends RedisVoice {
  /** Says again how far the machine is, where somebody else said that it has gone. */
  readonly sayAgain: (nowMs: number) => readonly RedisCommand[]
}

export interface StartupVoiceOptions {
  readonly facts: StartupFacts
  readonly journal: Pick<FileJournal, 'since' | 'lastSeq' | 'bootId'>
  /** Number of the newest event before that one that begins a boot. */
  readonly findStart: (bootId: string) => number | null
  readonly nowMs: () => number
}

/**
 * The first generation: each event as a message on `machine:startup:events`, and as a record
 * `machine:startup:<id>:<event_type>:<ms>` that is kept for a day. What it says follows from the events alone, also after a
 * restart of the sidecar, and where Redis gets its history again.
 */
export function startupVoice({ facts, journal, findStart, nowMs }: StartupVoiceOptions): StartupVoice {
  let progress: StartupProgress | null = null
  let heardSeq = 0
  let usedMs = new Map<string, number>()

  const catchUp = (event: MachineEvent) => {
    progress = restore(event)
    usedMs = new Map()
  }

  /** Everything that the boot of this event told before it. */
  const restore = (event: MachineEvent): StartupProgress | null => {
    if (event.type === 'machine.started') return null
    const start = findStart(event.bootId)
    if (start === null || start >= event.seq) return unknownStartup(event)
    let known: StartupProgress | null = null
    for (let seq = start - 1; seq < event.seq - 1; ) {
      const events = journal.since(seq, PAGE)
      if (events.length === 0) break
      for (const earlier of events) {
        if (earlier.seq < event.seq) known = hearStartup(known, earlier, facts.plan).progress
        seq = earlier.seq
        if (known?.isComplete) return known
      }
    }
    return known
  }

  const commandsOf = (message: StartupMessage, atMs: number): RedisCommand[] => {
    const text = JSON.stringify(message)
    const publish: RedisCommand = ['publish', STARTUP_CHANNEL, text]
    if (nowMs() - atMs > RECORD_SECONDS * 1000) return [publish]
    return [['setex', recordKey(message.event_type, atMs), RECORD_SECONDS, text], publish]
  }

  /** Two events of a type in one millisecond have a record each. */
  const recordKey = (type: string, atMs: number): string => {
    const ms = Math.max(atMs, (usedMs.get(type) ?? 0) + 1)
    usedMs.set(type, ms)
    return `machine:startup:${facts.plan.machine.id}:${type}:${ms}`
  }

  const say = (notices: readonly StartupNotice[], event: MachineEvent, at: StartupProgress) =>
    notices.flatMap((notice) => commandsOf(startupMessage(notice, event, at, facts), Date.parse(event.at)))

  return {
    isForOthers: true,
    event: (event) => {
      if (heardSeq === 0 || event.seq <= heardSeq) catchUp(event)
      heardSeq = event.seq
      const told = hearStartup(progress, event, facts.plan)
      progress = told.progress
      return say(told.notices, event, told.progress)
    },
    status: () => [],
    sayAgain: (atMs) => {
      if (progress === null || progress.bootId !== journal.bootId) return []
      const { isComplete, isConfiguring } = progress
      const phase = isComplete ? 'ready' : isConfiguring ? 'configuring' : 'starting'
      const notices: StartupNotice[] = [
        { kind: 'phase', phase },
        ...(isComplete ? [{ kind: 'complete' } as const] : []),
      ]
      return say(notices, momentOf(journal.bootId, facts.plan.machine.id, heardSeq, atMs), progress)
    },
  }
}

/** A moment in which nothing happened. */
function momentOf(bootId: string, machine: string, seq: number, atMs: number): MachineEvent {
  return { v: 1, bootId, machine, seq, at: new Date(atMs).toISOString(), type: 'health.digest' }
}
