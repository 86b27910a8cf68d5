/**
 * The one event model: what happens on a machine, as it goes to Redis, to followers over HTTP and into the journal. Its
 * format is schema/events.schema.json.
 */
export interface MachineEvent extends EventDraft {
  /** Version of the format. */
  readonly v: 1
  /** Names one boot of the machine. */
  readonly bootId: string
  /** Grows by one with each event for as long as the machine keeps its state directory; across boots too. */
  readonly seq: number
  /** ISO 8601, UTC, milliseconds. */
  readonly at: string
  readonly machine: string
}

/** An event before the journal gives it its number. */
export interface EventDraft {
  readonly type: EventType
  /** When it happened, where that is not the moment in which it is noted. */
  readonly at?: string
  readonly service?: string
  readonly gpu?: number
  /** `<machine>-worker-<gpu>`. */
  readonly worker?: string
  readonly status?: string
  readonly progress?: EventProgress
  readonly error?: { readonly code?: string; readonly message: string }
  /** Further facts, flat where possible. No secret is ever in it. */
  readonly context?: Readonly<Record<string, unknown>>
}

export interface EventProgress {
  /** What is being fetched or done: a file, a node, a model. */
  readonly item?: string
  readonly bytes?: number
  readonly totalBytes?: number
  readonly bytesPerSecond?: number
  readonly etaSeconds?: number
  /** Steps instead of bytes: 3 of 64 nodes. */
  readonly done?: number
  readonly total?: number
}

export const EVENT_TYPES = [
  'machine.started',
  'machine.ready',
  'machine.degraded',
  'machine.stopping',
  'machine.stopped',
  /** A fact about the machine that needs a person: fewer GPUs than declared, a full disk. `status`: raised or cleared. */
  'machine.alarm',
  'service.started',
  'service.ready',
  'service.unready',
  'service.failed',
  'service.restarted',
  'service.stopped',
  'service.gave-up',
  /** `status` is one of WORKER_STATES. */
  'worker.state',
  'provision.started',
  'provision.progress',
  'provision.done',
  'provision.failed',
  /** One item of a provisioner has its result: a model, a node. `status`: ok, skipped, failed, changed. */
  'provision.item',
  'health.changed',
  'health.digest',
  'operator.action',
  /** Events that the bounded journal had to drop; `context.count` says how many. */
  'events.lost',
] as const

export type EventType = (typeof EVENT_TYPES)[number]

export const WORKER_STATES = [
  'announcing',
  'downloading',
  'configuring',
  'starting',
  'ready',
  'busy',
  'error',
  'stopped',
] as const

export type WorkerState = (typeof WORKER_STATES)[number]
