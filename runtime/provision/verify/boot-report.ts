import { mkdirSync, readFileSync } from 'node:fs'
import type { MachinePaths } from '../../../schema/plan.ts'
import { writeFileAtomically } from '../../shared/atomic-file.ts'
import type { DescribedPhase } from '../../shared/boot-phases.ts'
import { stateDirectory } from '../framework/task-state.ts'
import type { CheckResult } from './check.ts'
import type { MachineStatus, Shortfall } from './machine-status.ts'

/** How a boot went: `<state>/provision/boot-report.json`. */
export interface BootReport {
  readonly v: 1
  readonly machine: string
  readonly bootId: string
  /** ISO 8601, UTC. */
  readonly startedAt: string | null
  readonly at: string
  /** From the start of the machine to the moment when all of it worked; `null`: that was never so. */
  readonly readyAfterMs: number | null
  readonly verdict: 'ready' | 'degraded' | 'unhealthy'
  readonly phases: readonly DescribedPhase[]
  readonly checks: readonly CheckResult[]
  readonly degraded: readonly Shortfall[]
  readonly unhealthy: readonly Shortfall[]
  readonly stopped: readonly string[]
  /** The boots before, the last one first. */
  readonly history: readonly PastBoot[]
}

export interface PastBoot {
  readonly bootId: string
  readonly startedAt: string | null
  readonly verdict: BootReport['verdict']
  readonly readyAfterMs: number | null
  /** Milliseconds by the name of the phase. */
  readonly phases: Readonly<Record<string, number>>
}

export interface BootFacts {
  readonly machine: string
  readonly self: string
  readonly status: MachineStatus
  readonly checks: readonly CheckResult[]
  readonly optional: ReadonlySet<string>
  readonly atMs: number
}

/** Pure: the report of a boot, with the reports before it as its history. */
export function makeReport(
  { machine, self, status, checks, optional, atMs }: BootFacts,
  before: BootReport | null,
): BootReport {
  const boot = status.boots.find(({ id }) => id === status.bootId)
  const others = ({ service }: Shortfall) => service !== self
  const failed = checks.filter(({ result }) => result === 'failed')
  const isUnhealthy = !status.healthy || failed.some(({ service }) => !optional.has(service))
  const degraded = status.degraded.filter(others).filter(({ service }) => !isUnderWay(status, service, optional))
  return {
    v: 1,
    machine,
    bootId: status.bootId,
    startedAt: boot?.startedAt ?? null,
    at: new Date(atMs).toISOString(),
    readyAfterMs: boot?.readyAfterMs ?? null,
    verdict: isUnhealthy ? 'unhealthy' : degraded.length > 0 || failed.length > 0 ? 'degraded' : 'ready',
    phases: status.phases.filter(({ state, name }) => state !== 'absent' && name !== self),
    checks,
    degraded,
    unhealthy: status.unhealthy.filter(others),
    stopped: status.stopped,
    history: historyOf(before, status.bootId),
  }
}

/** An optional task that is still at work is no shortfall yet. */
function isUnderWay({ services }: MachineStatus, name: string, optional: ReadonlySet<string>): boolean {
  const state = services[name]?.state
  return optional.has(name) && (state === 'starting' || state === 'waiting')
}

const KEPT_BOOTS = 20

function historyOf(before: BootReport | null, bootId: string): readonly PastBoot[] {
  if (before === null) return []
  const { startedAt, verdict, readyAfterMs, history } = before
  const phases = before.phases.flatMap(({ name, tookMs }) => (tookMs === null ? [] : [[name, tookMs] as const]))
  const last = { bootId: before.bootId, startedAt, verdict, readyAfterMs, phases: Object.fromEntries(phases) }
  return [last, ...history].filter((one) => one.bootId !== bootId).slice(0, KEPT_BOOTS)
}

export function bootReportFile(paths: Pick<MachinePaths, 'state'>): string {
  return `${stateDirectory(paths)}/boot-report.json`
}

export function readReport(paths: Pick<MachinePaths, 'state'>): BootReport | null {
  try {
    const report = JSON.parse(readFileSync(bootReportFile(paths), 'utf8')) as BootReport
    return report.v === 1 && Array.isArray(report.phases) && Array.isArray(report.history) ? report : null
  } catch {
    return null
  }
}

export function writeReport(paths: Pick<MachinePaths, 'state'>, report: BootReport): void {
  mkdirSync(stateDirectory(paths), { recursive: true })
  writeFileAtomically(bootReportFile(paths), `${JSON.stringify(report, null, 2)}\n`, 0o644)
}
