import type { Command } from '../context.ts'
import { EXIT } from '../failure.ts'
import { formatDuration } from '../format.ts'
import { openMachineLogs } from '../machine-logs.ts'
import { targetsOf } from '../targets.ts'

/** What the workers of the first machines write for each heartbeat, whatever its case. */
const HEARTBEAT = 'heartbeat'
/** Workers send one every 30 s. */
const LATE_MS = 120_000

/** `websocket`: when each worker last told in its log of a heartbeat; 1 if one of them is late. */
export const run: Command = async (context) => {
  const { plan, console, request } = context
  const store = openMachineLogs(plan, console.environment)
  const none = { gpu: null, level: null, sinceMs: null, correlationId: null }
  const found = await Promise.all(
    targetsOf(context).services.map(async ({ name, gpu }) => {
      const { lines } = await store.query({ ...none, services: [name], grep: HEARTBEAT, lines: 1 }, console.signal)
      const last = lines.at(-1) ?? null
      const ageMs = last === null ? null : Date.now() - Date.parse(last.timestamp)
      return { name, gpu, at: last?.timestamp ?? null, ageMs, ok: ageMs !== null && ageMs < LATE_MS }
    }),
  )
  if (request.options.json) console.out(`${JSON.stringify({ workers: found })}\n`)
  else for (const { name, ageMs } of found) console.out(`${name}: ${describe(ageMs)}\n`)
  return found.every(({ ok }) => ok) ? EXIT.done : EXIT.findings
}

const describe = (ageMs: number | null): string =>
  ageMs === null ? 'no heartbeat in its log' : `last heartbeat ${formatDuration(ageMs)} ago`
