import type { MachineLoop } from './machine-loop.ts'
import { isSatisfied, isStopped, type ServiceRecord } from './machine-state.ts'
import type { WaitResult } from './operations.ts'

/**
 * Waits until all these services are ready (tasks: done), one of them cannot become so any more, or the time is over. A run
 * that has been told to end does not count: the wait after a restart is for the next one.
 */
export function waitUntilReady(
  loop: Pick<MachineLoop, 'machine' | 'follow'>,
  names: readonly string[],
  timeoutMs: number,
): Promise<WaitResult> {
  const startedMs = performance.now()
  const records = (): ServiceRecord[] => names.map((name) => loop.machine().services.get(name)!)
  return new Promise((resolve) => {
    const end = (result: WaitResult): void => {
      clearTimeout(timer)
      unfollow()
      resolve(result)
    }
    const judge = (): void => {
      const result = judgeWait(records(), performance.now() - startedMs)
      if (result !== null) end(result)
    }
    const timer = setTimeout(() => {
      const missing = records().filter((record) => !isReadyNow(record))
      const message = `not ready within ${timeoutMs / 1000} s: ${missing.map(describeRecord).join('; ')}`
      end({ ok: false, code: 'TIMEOUT', message })
    }, timeoutMs)
    const unfollow = loop.follow(judge)
    judge()
  })
}

/** The end of the wait; `null` while it goes on. */
export function judgeWait(records: readonly ServiceRecord[], tookMs: number): WaitResult | null {
  if (records.every(isReadyNow)) return { ok: true, tookMs: Math.round(tookMs) }
  const stopped = records.find(isStopped)
  if (stopped !== undefined) return { ok: false, code: 'STOPPED', message: describeRecord(stopped) }
  const failed = records.find(({ state }) => state === 'failed')
  return failed === undefined ? null : { ok: false, code: 'FAILED', message: describeRecord(failed) }
}

const isReadyNow = (record: ServiceRecord): boolean =>
  isSatisfied(record) &&
  record.startOrderedAtMs === null &&
  (record.order === null || record.order.incarnation !== record.incarnation)

const describeRecord = ({ service, state, reason }: ServiceRecord): string =>
  `"${service.name}" is ${state}${reason === null ? '' : `: ${reason}`}`
