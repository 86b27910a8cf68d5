import type { BootReport } from './boot-report.ts'

/** The report as a table for a log. */
export function formatReport(report: BootReport): string[] {
  const { verdict, readyAfterMs, phases, checks, stopped } = report
  const after = readyAfterMs === null ? '' : `, ready after ${seconds(readyAfterMs)}`
  return [
    `the machine is ${verdict}${after}`,
    ...aligned(
      phases.map(({ name, state, tookMs, done, total, reason }) => [
        name,
        state,
        tookMs === null ? '-' : seconds(tookMs),
        total > 1 ? `${done} of ${total}` : '',
        reason ?? '',
      ]),
    ),
    ...aligned(checks.map(({ service, check, result, detail }) => [SIGNS[result], service, check, detail])),
    ...(stopped.length === 0 ? [] : [`stopped by an operator: ${stopped.join(', ')}`]),
  ]
}

const SIGNS = { ok: 'ok', failed: 'FAILED', skipped: 'skipped' } as const

/** What is wrong, a line each: what does not work, and what works and fails its check. */
export function shortcomings({ checks, degraded, unhealthy }: BootReport): string[] {
  const known = new Set([...unhealthy, ...degraded].map(({ service }) => service))
  const failed = checks.filter(
    ({ result, service, check }) => result === 'failed' && !(known.has(service) && check !== 'prompt'),
  )
  return [
    ...[...unhealthy, ...degraded].map(({ service, reason }) => `${service}: ${reason}`),
    ...failed.map(({ service, check, detail }) => `${service}: its ${check} fails: ${detail}`),
  ]
}

/** `2.1 s` */
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
}
