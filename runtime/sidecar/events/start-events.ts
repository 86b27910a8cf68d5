import type { Environment } from '../../../schema/interpolation.ts'
import { spoolDirectory } from '../../shared/event-spool.ts'
import type { EventDraft, MachineEvent } from '../../shared/machine-event.ts'
import type { Log } from '../log.ts'
import type { SidecarView } from '../view.ts'
import type { Workers } from '../workers/follow-workers.ts'
import type { RedisParts } from './connect-redis.ts'
import { deriveDigest, deriveEvents } from './derive-events.ts'
import type { EventJournal, OutboxState } from './event-journal.ts'
import { type FileJournal, openFileJournal } from './file-journal.ts'
import { openCursor } from './outbox-cursor.ts'
import { startSpoolReader } from './spool-reader.ts'
import { NOTHING_TOLD, type Told, tell } from './told.ts'

/** The events of a running sidecar. */
export interface EventsPart {
  readonly journal: EventJournal
  readonly outbox: () => OutboxState | null
  /** What Redis says of the job workers; `null` where there is none of either. */
  readonly workers: Workers | null
  /** `null` where the machine has no Redis. */
  readonly publishStatus: (() => void) | null
  /** Something of the machine may have changed: whatever that means is said before the next turn. */
  readonly update: () => void
  /** The goodbye, where the machine stops; then everything ends. At most a second. */
  readonly close: () => Promise<void>
}

export interface EventsOptions {
  readonly view: SidecarView
  readonly log: Log
  readonly environment: Environment
}

/** How often what only time changes is looked at: digests, resources, how long something has been as it is. */
const TICK_MS = 1000
const GOODBYE_MS = 1000

/**
 * Opens the journal, says what happened while no sidecar ran, and goes on saying what happens. Events reach the journal
 * before anything else knows of them; Redis follows when it can.
 */
export async function startEvents({ view, log, environment }: EventsOptions): Promise<EventsPart> {
  const { plan, bootId } = view
  const cursor = openCursor(plan.paths)
  let delivered = () => cursor.read() ?? 0
  const journal = openFileJournal({
    paths: plan.paths,
    bootId,
    machine: plan.machine.id,
    nowMs: view.nowMs,
    delivered: () => delivered(),
    onProblem: (problem) => {
      if (problem === null) log.info('the journal takes events again')
      else log.error(`${problem}; events are kept in memory until it can`)
    },
  })
  const { inherited } = journal
  const previousBoot = inherited !== null && inherited.bootId !== bootId ? inherited : null
  let told = recoverTold(journal, inherited)
  const unfollow = journal.follow((event) => {
    told = tell(told, event)
  })
  const append = (drafts: readonly EventDraft[]) => {
    for (const draft of drafts) journal.append(draft)
  }

  const update = () => {
    const facts = {
      plan,
      version: view.version,
      machine: view.machine(),
      resources: view.resources(),
      workload: view.workload,
      previousBoot,
      nowMs: view.nowMs(),
    }
    append(deriveEvents(told, facts))
    append(deriveDigest(told, facts))
  }

  let isDue = false
  const nudge = () => {
    if (isDue) return
    isDue = true
    queueMicrotask(() => {
      isDue = false
      update()
    })
  }

  update()
  const spool = startSpoolReader({
    directory: spoolDirectory(plan.paths),
    take: journal.appendSpooled,
    takenNames: journal.spoolNames,
    onProblem: (message) => log.warn(message),
  })
  const timer = setInterval(update, TICK_MS)
  timer.unref()
  const redis = await openRedis()
  const outbox = redis?.outbox ?? null
  // Without Redis nobody waits for what the bound takes.
  delivered = outbox?.acknowledged ?? (() => Number.POSITIVE_INFINITY)

  async function openRedis(): Promise<RedisParts | null> {
    if (plan.redis.urlSecret === null) return null
    const { connectRedisParts } = await import('./connect-redis.ts')
    return connectRedisParts({ view, environment, journal, cursor, log, told: () => told, onWorkerChange: nudge })
  }

  return {
    journal,
    outbox: () => outbox?.state() ?? null,
    workers: redis?.workers ?? null,
    publishStatus: outbox === null ? null : outbox.publishStatus,
    update: nudge,
    close: async () => {
      clearInterval(timer)
      update()
      spool.close()
      // Only the farewell ends the machine; a sidecar that is restarted says nothing.
      if (told.phase === 'stopping') append([{ type: 'machine.stopped', status: 'stopped' }])
      await outbox?.goodbye(GOODBYE_MS)
      redis?.workers?.close()
      unfollow()
      journal.close()
    },
  }
}

const PAGE = 1000

/** What this boot has told so far: all since its last digest, which repeats what was before it. */
function recoverTold(journal: FileJournal, inherited: MachineEvent | null): Told {
  if (inherited === null || inherited.bootId !== journal.bootId) return NOTHING_TOLD
  const start = journal.findLast(
    ({ bootId, type }) => bootId === journal.bootId && (type === 'health.digest' || type === 'machine.started'),
  )
  let told = NOTHING_TOLD
  for (let seq = (start ?? 1) - 1; seq < journal.lastSeq(); ) {
    const events = journal.since(seq, PAGE)
    if (events.length === 0) break
    for (const event of events) if (event.bootId === journal.bootId) told = tell(told, event)
    seq = events.at(-1)!.seq
  }
  return told
}
