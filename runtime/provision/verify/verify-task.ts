import { inParallel } from '../framework/in-parallel.ts'
import type { ProvisionTask, TaskContext, TaskOutcome } from '../framework/task.ts'
import { type BootReport, bootReportFile, makeReport, readReport, writeReport } from './boot-report.ts'
import { type CheckResult, perform } from './check.ts'
import { formatReport, shortcomings } from './format-report.ts'
import { type MachineStatus, readStatus, settledStatus } from './machine-status.ts'
import { planChecks } from './plan-checks.ts'

/** Prompts on all GPUs at a time; nothing of it takes a machine's breath. */
const PARALLEL_CHECKS = 8

const TIMEOUT_MS = 15 * 60_000

/**
 * The last task of a boot: waits until the machine has settled, tries everything once as its users would, and writes down
 * how the boot went. A machine that falls short is no failure of the task: the report says so. It fails where nobody could
 * be asked.
 */
export const verifyTask: ProvisionTask = {
  preview: async ({ plan, task }) => {
    const status = await readStatus(plan.sidecar)
    if (status === null) return ['wait for the sidecar, then check the whole machine']
    return planChecks(plan, task, status, () => null).map(({ service, check }) => `check the ${check} of ${service}`)
  },
  run: async (context) => {
    const { plan, task, report } = context
    report.phase('waiting for the machine')
    const settled = await settledStatus(plan, task, plan.provisioning.verification?.timeoutMs ?? TIMEOUT_MS)
    if (settled === null) return { failures: ['cannot verify the machine: its sidecar does not answer'], warnings: [] }
    const checks = await check(context, settled.status)
    // What was slow to settle may have done so while it was tried.
    const status = (await readStatus(plan.sidecar)) ?? settled.status
    return publish(context, status, checks)
  },
}

async function check(context: TaskContext, status: MachineStatus): Promise<CheckResult[]> {
  const { plan, task, report, secret } = context
  const checks = planChecks(plan, task, status, secret)
  report.expect({ items: checks.length })
  report.phase('checking')
  return inParallel(PARALLEL_CHECKS, checks, async (one) => {
    const result = await perform(one)
    const outcome = result.result === 'ok' ? 'ok' : result.result
    // Only what is not as it should be is an event of its own; the report has them all.
    if (outcome === 'failed') report.settle(`${result.check} of ${result.service}`, outcome, result.detail)
    return result
  })
}

function publish(
  { plan, task, report }: TaskContext,
  status: MachineStatus,
  checks: readonly CheckResult[],
): TaskOutcome {
  const optional = new Set(plan.services.filter((service) => service.optional).map(({ name }) => name))
  const facts = { machine: plan.machine.id, self: task, status, checks, optional, atMs: Date.now() }
  const made = makeReport(facts, readReport(plan.paths))
  writeReport(plan.paths, made)
  for (const line of formatReport(made)) report.note(line)
  return { failures: [], warnings: shortcomings(made), facts: factsOf(made, bootReportFile(plan.paths)) }
}

function factsOf({ verdict, readyAfterMs, phases, checks }: BootReport, file: string) {
  const times = phases.flatMap(({ name, tookMs }) =>
    tookMs === null ? [] : [`${name} ${(tookMs / 1000).toFixed(1)} s`],
  )
  return {
    verdict,
    ...(readyAfterMs === null ? {} : { readyAfterMs }),
    checks: checks.length,
    failedChecks: checks.filter(({ result }) => result === 'failed').length,
    phases: times.join(', '),
    report: file,
  }
}
