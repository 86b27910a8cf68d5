import { resolve } from 'node:path'
import type { Target } from '../../schema/plan.ts'

/** The options that all verbs about a machine share. */
export interface MachineOptions {
  readonly file: readonly string[]
  readonly set: readonly string[]
  readonly env: boolean
  readonly gpus: number | undefined
  readonly simulate: boolean
  readonly 'port-offset': number | undefined
  readonly 'state-dir': string | undefined
  readonly target: Target | 'compose'
  readonly root: string | undefined
}

/** The absolute state directory of a local machine, as far as the options say; a tree is one by itself. */
export function stateDirectoryOf(options: MachineOptions, out?: string): string | null {
  const named = options['state-dir'] ?? out
  return options.target === 'local' && named !== undefined ? resolve(named) : null
}
