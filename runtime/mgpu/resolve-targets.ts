import type { Plan, PlannedService } from '../../schema/plan.ts'
import { findMembers, unknownName } from '../shared/service-names.ts'
import type { ProgramName } from './verb-table.ts'

type Addressed = Pick<Plan, 'services' | 'bundles' | 'gpus'>

/** What a command is about. */
export interface Targets {
  readonly services: readonly PlannedService[]
  /** The one name that was given for them; `null`: all services of the machine, or of a GPU. */
  readonly name: string | null
  readonly gpu: number | null
}

export interface Addressing {
  readonly program: ProgramName
  readonly service: string | null
  readonly gpu: string | null
}

/** What operators of the first machines call them. */
const ALIASES: Readonly<Record<string, string>> = {
  a1111: 'automatic1111',
  worker: 'redis-worker',
  workers: 'redis-worker',
  'worker-watchdog': 'sidecar',
}

/** The services that a command line names, in the order of the plan; or why it names none. */
export function resolveTargets(plan: Addressed, { program, service, gpu }: Addressing): Targets | string {
  const index = readGpu(plan, gpu)
  if (typeof index === 'string') return index
  const name = service ?? (program === 'wgpu' ? 'worker' : null)
  const named = name === null ? plan.services : servicesCalled(plan, name)
  if (typeof named === 'string') return named
  // One that the whole machine has once needs no GPU, and scripts name one all the same.
  const isPerGpu = named.some((one) => one.gpu !== null)
  const chosen = index === null || !isPerGpu ? named : named.filter((one) => one.gpu === index)
  if (chosen.length === 0) return `"${name}" does not run on GPU ${index}`
  return { services: chosen, name, gpu: index }
}

function servicesCalled(plan: Addressed, given: string): readonly PlannedService[] | string {
  const known = (word: string): readonly PlannedService[] => {
    const members = findMembers(plan, word)
    if (members !== null) return plan.services.filter(({ name }) => members.includes(name))
    return plan.services.filter(({ key, type }) => key === word || type === word)
  }
  const found = known(given)
  if (found.length > 0) return found
  const alias = Object.hasOwn(ALIASES, given) ? ALIASES[given]! : null
  const meant = alias === null ? [] : known(alias)
  if (meant.length > 0) return meant
  return alias === null ? unknownName(plan, given) : `this machine has no "${alias}"`
}

function readGpu({ gpus }: Addressed, text: string | null): number | null | string {
  if (text === null || text === 'all') return null
  const index = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN
  if (index < gpus.length) return index
  if (gpus.length === 0) return `GPU ID '${text}' is out of range. This machine has no GPU`
  return `GPU ID '${text}' is out of range. Must be between 0 and ${gpus.length - 1}`
}
