import type { ServiceRecord } from './machine-state.ts'

/**
 * Why a service that is about to be restarted for `fault` is given up instead; `null` while its budget lasts. Deaths that
 * the supervisor counts and restarts that the sidecar ordered use the same budget. Starts that never led to readiness
 * are counted in a row, however long each took: a start may take longer than the window.
 */
export function spentBudget(record: ServiceRecord, fault: string, nowMs: number): string | null {
  const { history, service } = record
  if (service.restart === null) return null
  const { maxAttempts, windowMs } = service.restart
  const isStart = record.readyAtMs === null
  const starts = isStart ? history.futileStarts + 1 : 0
  if (starts >= maxAttempts)
    return `it did not become ready in ${starts === 1 ? 'one start' : `${starts} starts`}: ${fault}`
  const faults = history.faults.filter(({ atMs }) => nowMs - atMs <= windowMs).length + 1
  if (faults < maxAttempts) return null
  return `it failed ${faults === 1 ? 'once' : `${faults} times`} within ${windowMs / 1000} s, the last time: ${fault}`
}

/**
 * How many restarts within the window only the sidecar knows of: its `run` adds them to the deaths that the supervisor has
 * counted, and pauses accordingly. `ordered`: one more is about to be.
 */
export function untalliedFaults({ history, service }: ServiceRecord, ordered: boolean, nowMs: number): number {
  const windowMs = service.restart?.windowMs ?? 0
  const known = history.faults.filter(({ atMs, inTally }) => !inTally && nowMs - atMs <= windowMs).length
  return known + (ordered ? 1 : 0)
}
