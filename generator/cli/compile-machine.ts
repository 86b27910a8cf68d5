import { resolve } from 'node:path'
import type { Environment } from '../../schema/interpolation.ts'
import { type Compilation, type CompileInput, compile } from '../compile.ts'
import { countGpus } from './count-gpus.ts'
import type { Host } from './host.ts'
import { layerFiles, readLayers, readLockOf } from './layers.ts'
import { type MachineOptions, stateDirectoryOf } from './machine-options.ts'
import { markerOf } from './marker.ts'

export interface MachineRequest {
  readonly words: readonly string[]
  readonly values: MachineOptions
  /** The tree of a local machine, which is its state directory unless another is named. */
  readonly out?: string
  /** What the lock file says does not count: it is to be written anew. */
  readonly isUnlocked?: true
}

export interface CompiledMachine {
  readonly compilation: Compilation
  readonly sources: ReturnType<typeof readLayers>
  readonly lock: ReturnType<typeof readLockOf>
  /** GPUs were counted on this host, because the machine file says `auto`. */
  readonly countedGpus: boolean
}

/** Reads the layers of a command line and compiles them. */
export function compileMachine(
  request: MachineRequest,
  host: Host,
  environment: Environment = host.environment,
): CompiledMachine {
  const files = layerFiles(request.words, request.values.file)
  const sources = readLayers(files)
  const lock = readLockOf(files)
  return { sources, lock, ...compileSources({ sources, lock }, request, host, environment) }
}

function compileSources(
  { sources, lock }: Pick<CompiledMachine, 'sources' | 'lock'>,
  { values, out, isUnlocked }: MachineRequest,
  { programDirectory }: Host,
  environment: Environment,
): Omit<CompiledMachine, 'sources' | 'lock'> {
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
    lock: isUnlocked ? null : lock,
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
