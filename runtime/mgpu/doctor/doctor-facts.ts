import type { Target } from '../../../schema/plan.ts'
import type { SidecarAnswer } from '../ask-sidecar.ts'
import type { ServiceFacts } from '../service-facts.ts'
import type { PortHolder } from './port-holders.ts'

/** All that the doctor looks at. */
export interface DoctorFacts {
  readonly target: Target
  readonly servicesDirectory: string
  readonly isSupervised: boolean
  readonly sidecar: SidecarAnswer
  readonly services: readonly ServiceFacts[]
  /** The last lines of those that do not work, by service. */
  readonly logTails: ReadonlyMap<string, readonly string[]>
  /** Who listens on the ports of the machine. */
  readonly portHolders: ReadonlyMap<number, PortHolder>
  readonly missingFiles: ReadonlyMap<string, readonly string[]>
  readonly missingPrograms: ReadonlyMap<string, string>
  /** GPUs that the machine needs: none where stand-ins run in the place of what uses them. */
  readonly gpuCount: number
  readonly gpuProblem: string | null
  readonly missingGpus: readonly number[]
  readonly disks: readonly Disk[]
  /** A sentence, without a secret; `null`: it works, or the machine has none. */
  readonly redisProblem: string | null
  readonly provisionFailures: readonly ProvisionFailure[]
  /** How far tasks are that run, in words, by service. */
  readonly taskProgress: ReadonlyMap<string, string>
  readonly tokenProblems: readonly string[]
}

export interface Disk {
  readonly path: string
  readonly totalBytes: number
  readonly freeBytes: number
  readonly freeInodes?: number | null
}

export interface ProvisionFailure {
  readonly task: string
  readonly service: string
  readonly problem: string
  /** The task has ended well but for optional things. */
  readonly isOver: boolean
  readonly optional: boolean
}
