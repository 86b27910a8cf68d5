import { resolve } from 'node:path'
import type { Environment } from '../../schema/interpolation.ts'
import { type Compilation, type CompileInput, compile } from '../compile.ts'
import { countGpus } from './count-gpus.ts'
import type { Host } from './host.ts'
import { layerFiles, readLayers } from './layers.ts'
import { type MachineOptions, stateDirectoryOf } from './machine-options.ts'
import { markerOf } from './marker.ts'

export interface MachineRequest {
  readonly words: readonly string[]
  readonly values: MachineOptions
  /** The tree of a local machine, which is its state directory unless another is named. */
  readonly out?: string
}

export interface CompiledMachine {
  readonly compilation: Compilation
  readonly sources: ReturnType<typeof readLayers>
  /** GPUs were counted on this host, because the machine file says `auto`. */
  readonly countedGpus: boolean
}

/** Reads the layers of a command line and compiles them. */
export function compileMachine(
  request: MachineRequest,
  host: Host,
  environment: Environment = host.environment,
): CompiledMachine {
  const sources = readLayers(layerFiles(request.words, request.values.file))
  return { sources, ...compileSources(sources, request, host, environment) }
}

function compileSources(
  sources: CompileInput['sources'],
  { values, out }: MachineRequest,
  { programDirectory }: Host,
  environment: Environment,
): Omit<CompiledMachine, 'sources'> {
  const known = stateDirectoryOf(values, out)
  const local = (stateDirectory: string) => ({ stateDirectory, programDirectory, node: process.execPath })
  let input: CompileInput = {
    sources,
    sets: values.set,
    environment,
    applyEnvironment: values.env,
    target: values.target,
    detectedGpus: values.gpus ?? null,
    ...(values.root === undefined ? {} : { containerRoot: resolve(values.root) }),
    simulate: values.simulate,
    portOffset: values['port-offset'] ?? 0,
    marker: markerOf(sources, values.set),
    ...(values.target === 'local' ? { local: local(known ?? resolve(STATE_DIRECTORY)) } : {}),
  }
  let compilation = compile(input)
  const countedGpus = values.gpus === undefined && lacksGpuCount(compilation)
  if (countedGpus) {
    input = { ...input, detectedGpus: countGpus() }
    compilation = compile(input)
  }
  // The default state directory has the name of the machine, which is known only now.
  if (values.target === 'local' && known === null && compilation.plan !== null) {
    compilation = compile({ ...input, local: local(resolve(STATE_DIRECTORY, compilation.plan.machine.id)) })
  }
  return { compilation, countedGpus }
}

/** Parent of the state directories of local machines. */
const STATE_DIRECTORY = '.machine'

function lacksGpuCount({ diagnostics }: Compilation): boolean {
  return diagnostics.some(({ code }) => code === 'GPU_COUNT_UNKNOWN')
}
