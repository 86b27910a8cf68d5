import type { Environment } from '../../schema/interpolation.ts'
import type { MachineSource } from '../load/load-machine.ts'
import { BUILD } from './build-facts.ts'
import { type MachineOptions, stateDirectoryOf } from './machine-options.ts'
import { hashOf } from './marker.ts'

/** What a tree depends on, beside the variables that it reads. */
export interface TreeRequest {
  readonly values: MachineOptions & { readonly out: string }
  readonly sources: readonly (MachineSource & { readonly text: Uint8Array })[]
  readonly lock: { readonly text: string } | null
  readonly programDirectory: string
}

/** Name of the entry that lists the variables; a machine that reads another one is another machine. */
const VARIABLES = 'variables'

/** What a manifest keeps of everything that a tree was made from, as hashes: the same inputs give the same tree. */
export function treeInputs(
  { values, sources, lock, programDirectory }: TreeRequest,
  environment: Environment,
  variables: readonly string[],
): Record<string, string> {
  const { target, set, env, gpus = '', simulate, root = '/' } = values
  const stateDirectory = stateDirectoryOf(values, values.out)
  const local = stateDirectory === null ? [] : [stateDirectory, programDirectory, process.execPath]
  const options = [
    target,
    String(env),
    String(gpus),
    String(simulate),
    String(values['port-offset'] ?? 0),
    root,
    ...local,
  ]
  const read = variables.map((name) => JSON.stringify([name, environment[name] ?? null]))
  return {
    compiler: BUILD,
    options: hashOf([JSON.stringify(options), JSON.stringify(set)]),
    layers: hashOf([...sources.flatMap(({ file, text }) => [file, text]), ...(lock === null ? [] : [lock.text])]),
    [VARIABLES]: variables.join(' '),
    values: hashOf(read),
  }
}

/** The variables that the tree of a manifest was made from; `null` where it cannot be told that nothing changed. */
export function recordedVariables(inputs: Readonly<Record<string, string>>): readonly string[] | null {
  const names = inputs[VARIABLES]
  if (names === undefined) return null
  return names === '' ? [] : names.split(' ')
}
