import type { PlannedService } from '../../../schema/plan.ts'
import { createObserver } from '../../shared/observe-service.ts'
import { createTerminalBlock, type TerminalBlock } from '../../shared/terminal-block.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../failure.ts'
import { noteOperation } from '../note-operation.ts'
import { type OperateOptions, type Outcome, startServices, stopServices } from '../operate-services.ts'
import type { Targets } from '../resolve-targets.ts'
import { clip, paint } from '../table.ts'
import { targetsOf } from '../targets.ts'

/** `start`, `stop`, `restart`: every service is tried; 1 if one of them did not come to where it was to be. */
export async function run(context: Context): Promise<number> {
  const { plan, request, console } = context
  const verb = request.verb as 'start' | 'stop' | 'restart'
  const targets = targetsOf(context)
  const services = affected(verb, targets, context)
  const { reason } = request.options
  const operation = { verb, name: targets.name, gpu: targets.gpu, services: services.map(({ name }) => name), reason }
  const note = noteOperation(plan.paths, operation, console.environment)
  if (note !== null) console.say(`mgpu: ${note}`)
  const outcomes: Outcome[] = []
  const report = createReport(context)
  const options: OperateOptions = {
    plan,
    signal: console.signal,
    waitMs: waitOf(context),
    onOutcome: (outcome) => {
      outcomes.push(outcome)
      report.outcome(outcome)
    },
    onWaiting: report.waiting,
  }
  await operate(verb, services, options)
  report.close()
  const isComplete = !console.signal.aborted
  if (!isComplete) console.say('mgpu: nobody waits any more; what was ordered goes on')
  const ok = isComplete && outcomes.every((outcome) => outcome.ok)
  if (request.options.json) console.out(`${JSON.stringify({ verb, ok, services: outcomes.map(outcomeJson) })}\n`)
  else await explainFailures(outcomes, context)
  return ok ? EXIT.done : EXIT.findings
}

async function operate(
  verb: 'start' | 'stop' | 'restart',
  services: readonly PlannedService[],
  options: OperateOptions,
): Promise<void> {
  if (verb === 'start') return startServices(services, options)
  if (verb === 'stop') {
    await stopServices(services, options)
    return
  }
  // What does not stop is an outcome of its own; what does, is one only when it runs again.
  const onOutcome = (outcome: Outcome) => {
    if (!outcome.ok) options.onOutcome(outcome)
  }
  const down = await stopServices(services, { ...options, onOutcome })
  // An operator who leaves in the middle of a restart did not ask for a stop.
  const isLeft = options.signal.aborted
  const started = isLeft ? services : services.filter((service) => down.includes(service))
  await startServices(started, isLeft ? { ...options, waitMs: () => 0 } : options)
}

/** With all of a machine the sidecar is not meant, which no service needs to run; nor are tasks that are done. */
function affected(verb: string, { services, name }: Targets, { plan }: Context): readonly PlannedService[] {
  if (name !== null) return services
  return services.filter(({ type, kind, name: own }) => {
    if (type === 'sidecar') return verb === 'start'
    const { status, gateOpenedAtMs } = createObserver(plan.paths, own)()
    const isDone = kind === 'task' && gateOpenedAtMs !== null && status?.up === false
    return verb === 'stop' || !isDone
  })
}

/** Room for a few deaths on the way, beside what the machine file grants a start. */
const MARGIN_MS = 30_000

function waitOf({ request }: Context): (service: PlannedService) => number {
  const { waitMs } = request.options
  return ({ startupTimeoutMs }) => waitMs ?? startupTimeoutMs + MARGIN_MS
}

interface Report {
  readonly outcome: (outcome: Outcome) => void
  readonly waiting: (lines: readonly string[]) => void
  readonly close: () => void
}

function createReport({ request, console }: Context): Report {
  if (request.options.json) return { outcome: () => {}, waiting: () => {}, close: () => {} }
  const block: TerminalBlock | null = console.stdout.isTTY ? createTerminalBlock(console.stdout) : null
  const columns = (console.stdout.columns || 80) - 1
  const rows = Math.max(1, (console.stdout.rows || 24) - 2)
  return {
    outcome: ({ service, ok, text }) => {
      const line = `${service.name}: ${paint(text, ok ? 'green' : 'red', console.isColored)}`
      if (block === null) console.out(`${line}\n`)
      else block.print(line)
    },
    waiting: (lines) => block?.paint(lines.slice(0, rows).map((line) => clip(`… ${line}`, columns))),
    close: () => block?.paint([]),
  }
}

const outcomeJson = ({ service, ok, text, tookMs }: Outcome) => ({
  name: service.name,
  gpu: service.gpu,
  ok,
  result: text,
  tookMs,
})

const SHOWN_LINES = 5

/** The end of the log says more than a state. */
async function explainFailures(outcomes: readonly Outcome[], { plan, console }: Context): Promise<void> {
  const failed = outcomes.filter(({ ok }) => !ok)
  if (failed.length === 0) return
  const { openMachineLogs } = await import('../machine-logs.ts')
  const store = openMachineLogs(plan, console.environment)
  for (const { service } of failed) {
    const lines = await store.lastLines(service.name, SHOWN_LINES).catch(() => [])
    for (const { message } of lines) console.say(`    ${service.name} | ${message.split('\n').at(-1)}`)
  }
}
