import type { Plan } from '../../schema/plan.ts'
import type { Artifact } from '../artifact.ts'
import type { Diagnostic } from '../diagnostics/diagnostic.ts'
import { compileMachine } from './compile-machine.ts'
import type { Host } from './host.ts'
import { layerFiles } from './layers.ts'
import type { MachineOptions } from './machine-options.ts'
import { programArtifacts } from './own-programs.ts'
import { recordEnvironment } from './recorded-environment.ts'
import { hasError } from './say-findings.ts'
import { treeInputs } from './tree-inputs.ts'

/** The whole tree of a command line. */
export interface CompiledTree {
  /** `null` where the machine has errors. */
  readonly artifacts: readonly Artifact[] | null
  readonly plan: Plan | null
  /** For the manifest. */
  readonly inputs: Readonly<Record<string, string>>
  readonly diagnostics: readonly Diagnostic[]
  readonly texts: ReadonlyMap<string, string>
  /** The layers that were read. */
  readonly files: readonly string[]
}

export interface TreeOptions {
  readonly words: readonly string[]
  readonly values: MachineOptions & { readonly out: string }
}

export function compileTree({ words, values }: TreeOptions, host: Host): CompiledTree {
  const files = layerFiles(words, values.file)
  const recorded = recordEnvironment(host.environment)
  const request = { words, values, out: values.out }
  const { compilation, sources, lock, countedGpus } = compileMachine(request, host, recorded.environment)
  const { plan, diagnostics } = compilation
  const isUsable = plan !== null && !hasError(diagnostics)
  // Warnings are said again at each run, and GPUs are counted again: such a tree is always compiled.
  const isRepeatable = isUsable && diagnostics.length === 0 && !countedGpus && !files.includes('-')
  const needsPrograms = isUsable && values.target === 'container'
  const programs = needsPrograms ? programArtifacts(plan, host.programDirectory) : []
  const treeRequest = { values, sources, lock, programDirectory: host.programDirectory }
  return {
    plan,
    artifacts: isUsable ? [...compilation.artifacts, ...programs] : null,
    inputs: isRepeatable ? treeInputs(treeRequest, host.environment, recorded.names()) : {},
    diagnostics,
    get texts() {
      return compilation.texts
    },
    files,
  }
}
