import { mkdirSync } from 'node:fs'
import type { MachinePaths } from '../../../schema/plan.ts'
import { writeFileAtomically } from '../../shared/atomic-file.ts'
import { spoolDirectory, spoolEvent } from '../../shared/event-spool.ts'
import type { EventDraft } from '../../shared/machine-event.ts'
import { type ProvisionProgress, progressDirectory, progressFile } from '../../shared/provision-progress.ts'
import type { ReportOutput } from './report-output.ts'
import { createTally, type ItemStatus } from './tally.ts'

/** Flat facts about an item or an end, as they go into events. No secret is ever in them. */
export type Facts = Readonly<Record<string, string | number | boolean | null>>

/** How a task says how far it is: to people, to files, and as events. Calls are cheap; what is shown is throttled. */
export interface Reporter {
  /** How much there is to do, all in all; said again when more is known. `bytes: null`: nobody knows. */
  readonly expect: (amount: { readonly items?: number; readonly bytes?: number | null }) => void
  /** What it is at now: `checking`, `downloading`. */
  readonly phase: (name: string) => void
  /** How far an item is. What it had at its first update does not count as speed. */
  readonly update: (item: string, bytes: number, totalBytes: number | null) => void
  /** The result of an item; `message` says why for one that failed, or what was found. */
  readonly settle: (item: string, status: ItemStatus, message?: string, facts?: Facts) => void
  /** What hinders it at the moment (`cdn.example.com answers 429, tries again in 8 s`); `null`: nothing any more. */
  readonly problem: (text: string | null) => void
  /** A line for people. */
  readonly note: (text: string) => void
}

/** The reporter with the ends of a run, which the framework reports itself. */
export interface TaskReporter extends Reporter {
  readonly started: () => void
  readonly done: (warnings: readonly string[], facts: Facts) => void
  readonly failed: (failures: readonly string[]) => void
}

export interface ReporterOptions {
  readonly paths: Pick<MachinePaths, 'state' | 'run'>
  readonly task: string
  readonly output: ReportOutput
  readonly nowMs: () => number
}

const EVENT_INTERVAL_MS = 1000
const FILE_INTERVAL_MS = 250

export function createReporter(options: ReporterOptions): TaskReporter {
  const { paths, task, output, nowMs } = options
  const tally = createTally()
  const startedAt = new Date(nowMs()).toISOString()
  let state: ProvisionProgress['state'] = 'running'
  let phase = 'starting'
  let problem: string | null = null
  let lastEventMs = 0
  let lastFileMs = 0
  const event = eventWriter(options)

  const current = (): ProvisionProgress => {
    const at = new Date(nowMs()).toISOString()
    const { pid } = process
    return { v: 1, task, service: task, pid, state, phase, ...tally.view(nowMs()), problem, startedAt, at }
  }
  const show = (isUrgent: boolean) => {
    const now = nowMs()
    if (isUrgent || now - lastFileMs >= FILE_INTERVAL_MS) {
      lastFileMs = now
      const progress = current()
      writeProgress(paths, progress)
      output.progress(progress, tally.active())
    }
    if (state === 'running' && now - lastEventMs >= EVENT_INTERVAL_MS) {
      lastEventMs = now
      event({ type: 'provision.progress', status: phase, progress: eventProgress(current()) })
    }
  }
  const end = (next: 'done' | 'failed', why: string | null) => {
    state = next
    phase = next
    problem = why
    show(true)
  }

  return {
    expect: (amount) => {
      tally.expect(amount)
      show(false)
    },
    phase: (name) => {
      phase = name
      show(true)
    },
    update: (item, bytes, totalBytes) => {
      tally.update(item, bytes, totalBytes, nowMs())
      show(false)
    },
    settle: (item, status, message, facts) => {
      tally.settle(item, status)
      output.item({ item, status, ...(message === undefined ? {} : { message }) })
      const error = status === 'failed' ? { error: { message: message ?? 'failed' } } : {}
      const context = { task, ...facts, ...(message === undefined || status === 'failed' ? {} : { message }) }
      event({ type: 'provision.item', status, progress: { item }, ...error, context })
      show(false)
    },
    problem: (text) => {
      if (text === problem) return
      problem = text
      if (text !== null) output.note(text)
      show(true)
    },
    note: output.note,
    started: () => {
      event({ type: 'provision.started', context: { task } })
      show(true)
    },
    done: (warnings, facts) => {
      end('done', warnings[0] ?? null)
      event({ type: 'provision.done', progress: eventProgress(current()), context: { task, ...facts, warnings } })
      output.end({ state: 'done', lines: warnings })
    },
    failed: (failures) => {
      end('failed', failures[0] ?? 'failed')
      const message = failures[0] ?? 'failed'
      event({ type: 'provision.failed', error: { message }, context: { task, failures } })
      output.end({ state: 'failed', lines: failures })
    },
  }
}

/** A volume that cannot be written costs the event, not the task: that fails by itself where it must. */
function eventWriter({ paths, task, output, nowMs }: ReporterOptions): (draft: EventDraft) => void {
  let hasComplained = false
  return (draft) => {
    try {
      spoolEvent(spoolDirectory(paths), { service: task, ...draft }, nowMs())
    } catch (error) {
      if (!hasComplained) output.note(`cannot leave events for the sidecar: ${(error as Error).message}`)
      hasComplained = true
    }
  }
}

function eventProgress(progress: ProvisionProgress): NonNullable<EventDraft['progress']> {
  const { item, bytes, totalBytes, bytesPerSecond, etaSeconds, done, total } = progress
  return {
    ...(item === null ? {} : { item }),
    bytes,
    ...(totalBytes === null ? {} : { totalBytes }),
    bytesPerSecond,
    ...(etaSeconds === null ? {} : { etaSeconds }),
    done,
    total,
  }
}

function writeProgress(paths: ReporterOptions['paths'], progress: ProvisionProgress): void {
  try {
    mkdirSync(progressDirectory(paths), { recursive: true })
    writeFileAtomically(progressFile(paths, progress.service), `${JSON.stringify(progress)}\n`, 0o644)
  } catch {
    // Nobody but onlookers misses it: the events and the result say the same.
  }
}
