import type { EventDraft } from '../../shared/machine-event.ts'
import { countRestarts, isSatisfied, type ServiceRecord } from '../machine-state.ts'
import type { ExitReason } from '../state/exit-reason.ts'
import type { ServiceExit } from '../state/service-history.ts'
import type { ToldService } from './told.ts'

/** Ends that somebody asked for are no failures. */
const ASKED_FOR: ReadonlySet<ExitReason> = new Set(['operator', 'dependency', 'shutdown'])

/** What happened to a service since it was last told of. Several things where it went fast, or nobody looked. */
export function deriveServiceEvents(told: ToldService, record: ServiceRecord): EventDraft[] {
  if (record.observation === null) return []
  const ends = unseenEnds(told, record)
  let { run, ready, ended } = ends.length > 0 ? { run: null, ready: false, ended: endOf(record) } : told
  const drafts = ends.map((end) => endEvent(record, end.exit, end.deaths))

  const current = record.launchedAtMs === null ? null : record.incarnation
  const isGone = run !== null && run !== current && record.state !== 'stopping' && record.state !== 'done'
  if (isGone) {
    drafts.push({ ...subject(record, 'service.stopped'), context: counts(record) })
    ;({ run, ready, ended } = { run: null, ready: false, ended: endOf(record) })
  }
  if (current !== null && current !== run) {
    drafts.push(startEvent(record, current, ended === 'comes-back'))
    ready = false
  }
  if (isSatisfied(record) && !ready) drafts.push(readyEvent(record))
  if (!isSatisfied(record) && ready) {
    const message = record.reason ?? record.problem
    const error = message === null ? {} : { error: { code: 'UNREADY', message } }
    drafts.push({ ...subject(record, 'service.unready'), ...error, context: counts(record) })
  }
  if (record.state === 'failed' && !told.gaveUp) {
    const message = record.reason ?? 'it was given up'
    drafts.push({ ...subject(record, 'service.gave-up'), error: { code: 'GAVE_UP', message }, context: counts(record) })
  }
  return drafts
}

/** The deaths that were not told, oldest first. A task that ends well has not died. */
function unseenEnds({ deaths }: ToldService, { history, service }: ServiceRecord) {
  const count = Math.min(Math.max(0, history.deaths - deaths), history.lastExits.length)
  const first = history.lastExits.length - count
  return history.lastExits
    .slice(first)
    .map((exit, index) => ({ exit, deaths: history.deaths - count + index + 1 }))
    .filter(({ exit }) => service.kind !== 'task' || exit.reason !== 'clean')
}

function endOf({ state }: ServiceRecord): ToldService['ended'] {
  return state === 'down' || state === 'stopping' || state === 'failed' || state === 'done'
    ? 'stays-down'
    : 'comes-back'
}

function endEvent(record: ServiceRecord, exit: ServiceExit, deaths: number): EventDraft {
  const context = { ...counts(record), deaths, reason: exit.reason, exit: exit.text }
  const at = isoTime(exit.atMs)
  if (ASKED_FOR.has(exit.reason)) return { ...subject(record, 'service.stopped'), ...at, context }
  const error = { code: exit.reason, message: `"${record.service.name}" ended: ${exit.text}` }
  return { ...subject(record, 'service.failed'), ...at, error, context }
}

function startEvent(record: ServiceRecord, run: string, isBack: boolean): EventDraft {
  const pid = record.observation?.status?.pid ?? null
  const context = { ...counts(record), run, pid, port: record.service.port }
  return { ...subject(record, isBack ? 'service.restarted' : 'service.started'), context }
}

function readyEvent(record: ServiceRecord): EventDraft {
  return {
    ...subject(record, 'service.ready'),
    context: { ...counts(record), startupMs: record.startupMs === null ? null : Math.round(record.startupMs) },
  }
}

function subject({ service, state }: ServiceRecord, type: EventDraft['type']): EventDraft {
  const { name, gpu, workerId } = service
  return {
    type,
    service: name,
    ...(gpu === null ? {} : { gpu }),
    ...(workerId === null ? {} : { worker: workerId }),
    status: state,
  }
}

function counts(record: ServiceRecord) {
  return { restarts: countRestarts(record), deaths: record.history.deaths }
}

/** Nothing for a time that no clock can have shown. */
function isoTime(ms: number): { at?: string } {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? {} : { at: date.toISOString() }
}
