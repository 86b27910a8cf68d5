import type { Machine } from '../../schema/machine.ts'
import type { MachinePaths, PlannedGpu, PlannedService, ProxyRoute, ServiceType } from '../../schema/plan.ts'
import type { Diagnostic } from '../diagnostics/diagnostic.ts'
import type { Pointer } from '../load/origin.ts'
import type { LockFile } from '../plan/lock-file.ts'

/** What a service type may read, and where it reports what it finds. */
export interface PlanContext {
  readonly settings: Machine
  readonly target: 'container' | 'local'
  readonly simulate: boolean
  readonly portOffset: number
  readonly node: string
  readonly gpus: readonly PlannedGpu[]
  readonly paths: MachinePaths
  /** Moves a path of the machine file to where it is on the machine: relative ones start at the workspace. */
  readonly place: (path: string) => string
  /** Registers a value of a secret field and gives the name of the secret, `null` for an empty one. */
  readonly secret: (pointer: Pointer, name: string, value: string) => string | null
  /** What is locked; `null`: nothing. */
  readonly lock: LockFile | null
  readonly report: (finding: Finding) => void
}

/** A diagnostic before it has a place: the pointer names the value it is about. */
export interface Finding extends Omit<Diagnostic, 'file' | 'range' | 'related'> {
  readonly pointer: Pointer
  readonly part?: 'key' | 'value'
  readonly related?: readonly { readonly pointer: Pointer; readonly part?: 'key' | 'value'; readonly message: string }[]
}

/** Where a field of a planned service got its value. */
export interface Provenance {
  readonly pointer: Pointer
  /** What was done with the value: `+ GPU 1`. */
  readonly note?: string
}

/** One instance, and what only the compiler needs to know of it. */
export interface ServiceDraft {
  readonly service: PlannedService
  /** Keys of the machine file that it depends on; `null`: the type's own choice, without a word when one is disabled. */
  readonly dependsOn: readonly { readonly key: string; readonly pointer: Pointer | null }[]
  /** Ports that it binds. */
  readonly claims: readonly { readonly port: number; readonly purpose: string; readonly pointer: Pointer }[]
  readonly routes: readonly (ProxyRoute & { readonly pointer: Pointer })[]
  /** Directories that must be there, beside the workspace and the log directory. */
  readonly directories: readonly string[]
  /** GPUs that it can use, and what it says it needs on each. */
  readonly memory: { readonly gpus: readonly number[]; readonly bytes: number; readonly pointer: Pointer } | null
  /** By field. Made only for who asks: a render does not. */
  readonly provenance: () => Readonly<Record<string, Provenance>>
}

/** All that is special to a type of service. A new type is one such object, and its section in the schema. */
export interface ServiceKind<Key extends string = string> {
  /** Its key in the machine file; custom services have keys of their own. */
  readonly key: Key
  readonly type: ServiceType
  /** Flags of the program that the compiler sets itself; users may not. */
  readonly ownedFlags: readonly string[]
  /** The same for environment variables. */
  readonly ownedVariables: readonly string[]
  /** One draft for each instance. */
  readonly expand: (context: PlanContext, key: string) => ServiceDraft[]
}
