import type { ProbeOutcome } from './probe.ts'

/**
 * Whether a job worker is ready, by what Redis says of it (`null`: nothing) and how long it has run. One that says nothing
 * counts as ready after its grace time: Redis may be away. What it says is never held against its life, as it may be in
 * the middle of a job.
 */
export function judgeWorker(says: boolean | null, ranMs: number, graceMs: number): ProbeOutcome {
  if (says === true || (says === null && ranMs >= graceMs)) return { ok: true }
  const problem =
    says === null ? 'it has not said in Redis yet that it is ready' : 'it says in Redis that it is not ready'
  return { ok: false, patient: false, live: true, problem }
}
