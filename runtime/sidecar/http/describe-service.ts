import { pm2Status } from '../../shared/pm2-status.ts'
import { standingOf } from '../health.ts'
import { countRestarts, isSatisfied, type MachineState, type ServiceRecord } from '../machine-state.ts'
import { deathReason } from '../probes/verdict.ts'
import { flappingReason } from '../state/flapping.ts'

/** A service as `/services` shows it. Times are ISO 8601, durations milliseconds. */
export function describeService(record: ServiceRecord, nowMs: number) {
  const { service, state, reason, sinceMs, launchedAtMs, readyAtMs } = record
  const running = runningStatus(record)
  return {
    name: service.name,
    type: service.type,
    gpu: service.gpu,
    state,
    pm2_status: pm2Status(state),
    standing: standingOf(record, nowMs),
    reason,
    ready: isSatisfied(record),
    live: isLive(record),
    optional: service.optional,
    pid: running?.pid ?? null,
    restarts: countRestarts(record),
    flapping: flappingReason(record, nowMs),
    port: service.port,
    endpoint: endpointOf(record),
    since: isoTime(sinceMs),
    startedAt: running === null ? null : isoTime(running.changedAtMs),
    launchedAt: launchedAtMs === null ? null : isoTime(launchedAtMs),
    readyAt: readyAtMs === null ? null : isoTime(readyAtMs),
    uptime: running === null ? null : Math.max(0, Math.round(nowMs - running.changedAtMs)),
    startupMs: record.startupMs === null ? null : Math.round(record.startupMs),
    waitsFor: service.waitsFor,
    lastExit: describeLastExit(record),
    workerId: service.workerId,
  }
}

/** What its supervisor says of the process that runs; `null` where none does. */
export function runningStatus({ observation }: ServiceRecord) {
  return observation?.supervised && observation.status?.up ? observation.status : null
}

/** Its process runs and is not given up on. */
function isLive(record: ServiceRecord): boolean {
  if (runningStatus(record) === null) return false
  if (record.readyAtMs === null) return record.launchedAtMs !== null
  return deathReason(record, record.service.liveness) === null
}

function endpointOf({ service }: ServiceRecord): string | null {
  if (service.port === null) return null
  const host = service.address ?? '127.0.0.1'
  return `http://${host.includes(':') ? `[${host}]` : host}:${service.port}`
}

function describeLastExit({ history }: ServiceRecord) {
  const last = history.lastExits.at(-1)
  if (last === undefined) return null
  const { atMs, exit, reason, outOfMemory, text } = last
  const how = exit ?? { kind: 'unknown' as const }
  return { ...how, reason, outOfMemory, text, at: isoTime(atMs) }
}

/** How often it ended and why, how long its starts took, and who stopped it: what is remembered beyond this run. */
export function describeHistory({ history, stop }: ServiceRecord) {
  return {
    exits: history.exits,
    lastExits: history.lastExits.map(({ atMs, reason, text }) => ({ at: isoTime(atMs), reason, text })),
    startupsMs: history.startupsMs.map(Math.round),
    stoppedBy: stop === null ? null : { operator: stop.operator, reason: stop.reason, at: isoTime(stop.atMs) },
  }
}

/** Those that it waits for now, each with the reason at the end of the chain: it may wait for others itself. */
export function describeWaiting(record: ServiceRecord, machine: MachineState) {
  if (record.state !== 'waiting') return []
  return record.service.waitsFor
    .filter((name) => !isSatisfied(machine.services.get(name)))
    .map((name) => {
      const state = machine.services.get(name)?.state ?? 'down'
      return { name, state, why: explain(name, machine, new Set()) }
    })
}

/** `comfyui-gpu0 waits for models; models is starting: 3 of 64`. */
function explain(name: string, machine: MachineState, seen: Set<string>): string {
  seen.add(name)
  const record = machine.services.get(name)
  if (record === undefined) return `the machine has no "${name}"`
  const own = `${name} is ${record.state}${record.reason === null ? '' : `: ${record.reason}`}`
  if (record.state !== 'waiting') return own
  const causes = record.service.waitsFor.filter(
    (other) => !seen.has(other) && !isSatisfied(machine.services.get(other)),
  )
  return [own, ...causes.map((other) => explain(other, machine, seen))].join('; ')
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
