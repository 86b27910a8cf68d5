import type { Plan, Target } from '../schema/plan.ts'
import type { Artifact } from './artifact.ts'
import type { Diagnostic } from './diagnostics/diagnostic.ts'
import { sortDiagnostics } from './diagnostics/sort.ts'
import { emitCompose } from './emit/compose/emit-compose.ts'
import { emitTree } from './emit/emit-tree.ts'
import { environmentOverrides } from './load/environment-overrides.ts'
import { loadMachine, type MachineSource } from './load/load-machine.ts'
import { buildPlan, type ProvenanceByService } from './plan/build-plan.ts'
import type { Finding } from './services/service-type.ts'
import { checkShape } from './validate/check-shape.ts'
import { checkValues } from './validate/check-values.ts'
import { hideSecrets } from './validate/hide-secrets.ts'
import { locate, type Origins } from './validate/locate.ts'
import { treatmentOf } from './validate/schema-walk.ts'
import { holdsFor } from './validate/sketch.ts'

/** All that a render depends on. Nothing else is read: no clock, no file, no `process.env`. */
export interface CompileInput {
  /** The layers, first to last: a later one wins. */
  readonly sources: readonly MachineSource[]
  /** `--set` options, e.g. `services.comfyui.basePort=9000`; they win over every layer. */
  readonly sets?: readonly string[]
  /** What `${VAR}` refers to. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Whether the environment variables of the original machines (`NUM_GPUS`, ...) change the machine. Default: no. */
  readonly applyEnvironment?: boolean
  /** `compose`: only a compose file, for the machine as it is in a container. Default: `container`. */
  readonly target?: Target | 'compose'
  /** GPUs found on this host, for `gpu.count: auto`. */
  readonly detectedGpus?: number | null
  /** For the container target: where the tree stands on the machine. Default: `/`. */
  readonly containerRoot?: string
  /** Stand-ins in the place of the GPU services. */
  readonly simulate?: boolean
  /** Added to every port. */
  readonly portOffset?: number
  /** For the local target: absolute paths of its state directory, of machinegen's programs and of Node. */
  readonly local?: { readonly stateDirectory: string; readonly programDirectory: string; readonly node: string }
  /** The lock file beside the machine file: `machinegen lock` writes it. */
  readonly lock?: { readonly file: string; readonly text: string } | null
  /** First line of every generated file that can have comments, without the comment sign. */
  readonly marker?: string
}

export interface Compilation {
  /** `null` where the machine file is not even of the right shape. */
  readonly plan: Plan | null
  /** Empty when there is an error. */
  readonly artifacts: readonly Artifact[]
  /** Sorted by position. */
  readonly diagnostics: readonly Diagnostic[]
  /** The texts that diagnostics point into, by file name. */
  readonly texts: ReadonlyMap<string, string>
  /** Where each value of the document came from, by JSON pointer. */
  readonly origins: Origins
  /** By service, then by field: which value of the document decided it. Made when it is first asked for. */
  readonly provenance: () => ProvenanceByService
}

/** Compiles a machine file: the whole pipeline as one pure function. Never throws for bad input. */
export function compile(input: CompileInput): Compilation {
  const environment = input.environment ?? {}
  const overrides = input.applyEnvironment ? environmentOverrides(environment) : NO_OVERRIDES
  const loaded = loadMachine({
    sources: [...input.sources],
    sets: [...(input.sets ?? [])],
    environment,
    overrides: overrides.overrides,
    treatmentOf,
  })
  const found: Diagnostic[] = [...loaded.diagnostics, ...overrides.diagnostics]
  const findTexts = () => hideSecrets(new Map([...loaded.texts, ...overrides.texts]), loaded.value, loaded.origins)
  const unfinished = () => ({ artifacts: [], texts: findTexts(), origins: loaded.origins, provenance: () => ({}) })
  // A document with holes where a text could not be read would be blamed for what is missing.
  if (!loaded.isComplete) return { plan: null, diagnostics: sortDiagnostics(found), ...unfinished() }
  const shape = checkShape(loaded.value, loaded.origins, loaded.unresolved)
  found.push(...shape.diagnostics, ...checkValues(loaded.value, loaded.origins, loaded.unresolved))
  const semantic = new Map<string, Diagnostic>()
  const note = (finding: Finding): void => {
    // Each instance of a service finds the same.
    semantic.set(`${finding.code} ${finding.pointer} ${finding.message}`, placed(finding, loaded.origins))
  }
  const { settings, sketch } = shape
  if (settings === null) {
    if (sketch !== null) {
      buildPlan(sketch.settings, planOptions(input), (finding) => {
        if (holdsFor(sketch, finding, loaded.origins)) note(finding)
      })
    }
    return { plan: null, diagnostics: sortDiagnostics([...found, ...semantic.values()]), ...unfinished() }
  }
  const { plan, literalSecrets, provenance } = buildPlan(settings, planOptions(input), note)
  found.push(...semantic.values())
  const diagnostics = sortDiagnostics(found)
  if (hasError(found)) return { ...unfinished(), plan, diagnostics, provenance }
  const marker = input.marker ?? DEFAULT_MARKER
  const artifacts = input.target === 'compose' ? emitCompose(plan, marker) : emitTree(plan, { literalSecrets, marker })
  let texts: Compilation['texts'] | undefined
  return {
    plan,
    artifacts,
    diagnostics,
    // Nobody looks for secrets in the texts of a machine that there is nothing to say about.
    get texts() {
      texts ??= findTexts()
      return texts
    },
    origins: loaded.origins,
    provenance,
  }
}

const NO_OVERRIDES: ReturnType<typeof environmentOverrides> = { overrides: [], diagnostics: [], texts: new Map() }

const DEFAULT_MARKER = 'Made by machinegen: edit the machine file and run "machinegen render".'

const hasError = (diagnostics: readonly Diagnostic[]): boolean =>
  diagnostics.some((diagnostic) => diagnostic.severity === 'error')

function planOptions(input: CompileInput): Parameters<typeof buildPlan>[1] {
  const { local } = input
  return {
    paths: input.target === 'local' && local !== undefined ? { target: 'local', ...local } : container(input),
    simulate: input.simulate ?? false,
    portOffset: input.portOffset ?? 0,
    node: local?.node ?? 'node',
    detectedGpus: input.detectedGpus ?? null,
    lock: input.lock ?? null,
  }
}

const container = ({ containerRoot }: CompileInput) => ({
  target: 'container' as const,
  ...(containerRoot === undefined ? {} : { root: containerRoot }),
})

function placed(finding: Finding, origins: Origins): Diagnostic {
  const { pointer, part, related, ...diagnostic } = finding
  return {
    ...diagnostic,
    ...locate(origins, pointer, part),
    ...(related === undefined
      ? {}
      : { related: related.map((item) => ({ message: item.message, ...locate(origins, item.pointer, item.part) })) }),
  }
}
