import type { EventDraft, MachineEvent } from '../../shared/machine-event.ts'

/** An event as it stands in a line of the journal. */
export interface JournalRecord {
  readonly event: MachineEvent
  /** The file of the spool that it came from: a spooled event is taken once, whenever the sidecar dies. */
  readonly spool: string | null
}

/** What holds for all events that a journal appends. */
export interface Origin {
  readonly bootId: string
  readonly machine: string
}

/** A longer event is kept without its context: one line must fit everywhere, and no fact of a machine is that long. */
const MAX_LINE_LENGTH = 256 * 1024

/** An event with its number; its keys are in the order in which lines have them. */
export function numberEvent(draft: EventDraft, seq: number, nowMs: number, { bootId, machine }: Origin): MachineEvent {
  const { type, at, service, gpu, worker, status, progress, error, context } = draft
  return {
    v: 1,
    bootId,
    seq,
    at: at ?? new Date(nowMs).toISOString(),
    machine,
    type,
    ...(service === undefined ? {} : { service }),
    ...(gpu === undefined ? {} : { gpu }),
    ...(worker === undefined ? {} : { worker }),
    ...(status === undefined ? {} : { status }),
    ...(progress === undefined ? {} : { progress }),
    ...(error === undefined ? {} : { error }),
    ...(context === undefined ? {} : { context }),
  }
}

/** The line of an event, and the event as it reads: what cannot be said in JSON, or not shortly, is left out of both. */
export function formatRecord(event: MachineEvent, spool: string | null): { event: MachineEvent; line: string } {
  const line = lineOf(event, spool)
  if (line !== null && line.length <= MAX_LINE_LENGTH) return { event, line }
  const { context: _, error, ...rest } = event
  const short = error === undefined ? {} : { error: { message: error.message.slice(0, 1000) } }
  const clipped: MachineEvent = { ...rest, ...short, context: { clipped: true } }
  return { event: clipped, line: lineOf(clipped, spool) ?? '' }
}

function lineOf(event: MachineEvent, spool: string | null): string | null {
  try {
    return `${JSON.stringify(spool === null ? event : { ...event, spool })}\n`
  } catch {
    return null
  }
}

/** The record in a line; `null` for one that is torn or spoilt. */
export function readRecord(line: string): JournalRecord | null {
  try {
    const { spool = null, ...event } = JSON.parse(line) as MachineEvent & { readonly spool?: string }
    return Number.isSafeInteger(event.seq) && typeof event.type === 'string' ? { event, spool } : null
  } catch {
    return null
  }
}

const HEAD = /^\{"v":1,"bootId":"([^"]*)","seq":(\d+),"at":"[^"]*","machine":"[^"]*","type":"([^"]*)"/

export interface LineHead {
  readonly bootId: string
  readonly seq: number
  readonly type: string
}

/** The first fields of a line, without parsing the rest; `null` where it does not begin as lines do. */
export function readHead(line: string): LineHead | null {
  const match = HEAD.exec(line)
  return match === null ? null : { bootId: match[1]!, seq: Number(match[2]), type: match[3]! }
}

/** Whether an event only says how far something is: of these the journal lets go first. */
export function isProgress({ type, progress }: Pick<MachineEvent, 'type' | 'progress'>): boolean {
  return type === 'provision.progress' || (type === 'worker.state' && progress !== undefined)
}

/** `isProgress` for a line. */
export function isProgressLine(line: string): boolean {
  const type = readHead(line)?.type
  return type === 'provision.progress' || (type === 'worker.state' && line.includes('"progress":{'))
}
