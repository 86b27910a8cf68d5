import type { Plan, PlannedService } from '../../../../schema/plan.ts'
import type { MachineEvent } from '../../../shared/machine-event.ts'

/** A step of a boot, by the names that the first job API sorts into phases. */
export interface StartupStep {
  readonly name: string
  readonly data: Readonly<Record<string, unknown>>
  readonly atMs: number
}

/** How far the boot is that the events so far tell of. */
export interface StartupProgress {
  readonly bootId: string
  readonly startedAtMs: number
  readonly steps: readonly StartupStep[]
  /** Services that were ready once. */
  readonly arrived: ReadonlySet<string>
  readonly isConfiguring: boolean
  readonly isComplete: boolean
}

/** What goes out for one event, in this order. */
export type StartupNotice =
  | { readonly kind: 'phase'; readonly phase: 'starting' | 'configuring' | 'ready' }
  | { readonly kind: 'step'; readonly step: StartupStep }
  | { readonly kind: 'complete' | 'failed' | 'shutdown' | 'service-started' | 'service-failed' }

export interface StartupTold {
  readonly progress: StartupProgress
  readonly notices: readonly StartupNotice[]
}

/** What the steps of a boot follow from. */
export type StartupPlan = Pick<Plan, 'services'>

/** Stands for a boot whose beginning the journal has no more: nothing of it is a step of a start any more. */
export function unknownStartup({ bootId, at }: MachineEvent): StartupProgress {
  return {
    bootId,
    startedAtMs: Date.parse(at),
    steps: [],
    arrived: new Set(),
    isConfiguring: true,
    isComplete: true,
  }
}

/** What an event means in the words of the first generation. */
export function hearStartup(before: StartupProgress | null, event: MachineEvent, plan: StartupPlan): StartupTold {
  if (event.type === 'machine.started') return beginStartup(event, plan)
  const progress = before === null || before.bootId !== event.bootId ? unknownStartup(event) : before
  switch (event.type) {
    case 'provision.started':
    case 'service.started':
    case 'service.restarted':
      return takeSteps(configure(progress), stepsOfStart(progress, event, plan), event)
    case 'service.ready':
      return arrive(progress, event, plan)
    case 'service.failed':
    case 'service.unready':
    case 'service.gave-up':
      return { progress, notices: [{ kind: 'service-failed' }] }
    case 'machine.ready':
      return complete(progress)
    case 'machine.degraded':
      if (event.context?.ready === true) return complete(progress)
      return { progress, notices: progress.isComplete ? [] : [{ kind: 'failed' }] }
    case 'machine.stopping':
      return { progress, notices: [{ kind: 'shutdown' }] }
    default:
      return { progress, notices: [] }
  }
}

function beginStartup(event: MachineEvent, plan: StartupPlan): StartupTold {
  const startedAtMs = Date.parse(event.at)
  const progress: StartupProgress = {
    bootId: event.bootId,
    startedAtMs,
    steps: [],
    arrived: new Set(),
    isConfiguring: false,
    isComplete: false,
  }
  const names = PHASES.flatMap(({ phase, holds }) => {
    const isEmpty = !plan.services.some(holds)
    const skipped = SKIPPABLE.filter(
      (step) => step.phase === phase && !plan.services.some(({ type }) => type === step.type),
    )
    const around = isEmpty ? ['begin', 'complete'].map((word) => `phase_${phase}_${word}`) : []
    return [...around.slice(0, 1), ...skipped.map(({ name }) => name), ...around.slice(1)]
  })
  const begun: StartupTold = { progress, notices: [{ kind: 'phase', phase: 'starting' }] }
  return takeSteps(
    begun,
    names.map((name) => ({ name, data: {} })),
    event,
  )
}

interface Phase {
  readonly phase: number
  readonly holds: (service: PlannedService) => boolean
}

/** The four phases of a boot; here they run side by side, each when what it needs is there. */
const PHASES: readonly Phase[] = [
  { phase: 0, holds: ({ kind, optional }) => kind === 'task' && !optional },
  { phase: 1, holds: ({ type }) => type === 'nginx' },
  { phase: 2, holds: ({ gpu, kind }) => gpu !== null && kind === 'longrun' },
  {
    phase: 3,
    holds: ({ type, gpu, kind }) => kind === 'longrun' && gpu === null && type !== 'nginx' && type !== 'sidecar',
  },
]

/** What a boot says that it leaves out. There is never a service of simulation: stand-ins take the place of the others. */
const SKIPPABLE: readonly { readonly phase: number; readonly type: string; readonly name: string }[] = [
  { phase: 1, type: 'nginx', name: 'nginx_skipped' },
  { phase: 3, type: 'ollama', name: 'ollama_skipped' },
  { phase: 3, type: 'simulation', name: 'simulation_skipped' },
]

type StepDraft = Pick<StartupStep, 'name' | 'data'>

function stepsOfStart(progress: StartupProgress, { service: name }: MachineEvent, plan: StartupPlan): StepDraft[] {
  const service = plan.services.find((other) => other.name === name)
  const phase = service === undefined ? undefined : PHASES.find(({ holds }) => holds(service))
  if (service === undefined || phase === undefined) return []
  const data = { service: service.name, gpu: service.gpu }
  const steps = [
    { name: `phase_${phase.phase}_begin`, data },
    ...(service.gpu === null ? [] : [{ name: `gpu_${service.gpu}_begin`, data }]),
  ]
  return steps.filter((step) => !hasStep(progress, step.name))
}

const hasStep = ({ steps }: StartupProgress, name: string): boolean => steps.some((step) => step.name === name)

function configure(progress: StartupProgress): StartupTold {
  if (progress.isConfiguring) return { progress, notices: [] }
  return { progress: { ...progress, isConfiguring: true }, notices: [{ kind: 'phase', phase: 'configuring' }] }
}

function takeSteps(told: StartupTold, drafts: readonly StepDraft[], event: MachineEvent): StartupTold {
  if (told.progress.isComplete) return told
  const steps = drafts.map((draft): StartupStep => ({ ...draft, atMs: Date.parse(event.at) }))
  return {
    progress: { ...told.progress, steps: [...told.progress.steps, ...steps] },
    notices: [...told.notices, ...steps.map((step): StartupNotice => ({ kind: 'step', step }))],
  }
}

function arrive(before: StartupProgress, event: MachineEvent, plan: StartupPlan): StartupTold {
  const service = plan.services.find(({ name }) => name === event.service)
  const notices: StartupNotice[] = service?.kind === 'task' ? [] : [{ kind: 'service-started' }]
  if (service === undefined || before.isComplete) return { progress: before, notices }
  const progress = { ...before, arrived: new Set(before.arrived).add(service.name) }
  const done = PHASES.filter(
    ({ phase, holds }) =>
      holds(service) &&
      !hasStep(progress, `phase_${phase}_complete`) &&
      plan.services.every((other) => !holds(other) || other.optional || progress.arrived.has(other.name)),
  )
  const steps = done.map(({ phase }) => ({ name: `phase_${phase}_complete`, data: {} }))
  return takeSteps({ progress, notices }, steps, event)
}

function complete(progress: StartupProgress): StartupTold {
  if (progress.isComplete) return { progress, notices: [] }
  return {
    progress: { ...progress, isConfiguring: true, isComplete: true },
    notices: [{ kind: 'phase', phase: 'ready' }, { kind: 'complete' }],
  }
}
