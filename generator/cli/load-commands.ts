import { readFileSync } from 'node:fs'
import { Script } from 'node:vm'
import { BUILD } from './build-facts.ts'
import type * as Commands from './commands.ts'

type ModuleFunction = (exports: object, require: NodeJS.Require, module: { exports: object }) => void

/** `commands` can do all; `render` only that, and is loaded in less time. */
export type Bundle = 'commands' | 'render'

/**
 * Loads a bundle of commands, with the code that V8 compiled from it when it was built: compiling it anew takes
 * longer than a render. Another V8 than the one of the build refuses that code and compiles the text as usual.
 */
export function loadCommands(directory: string, bundle: Bundle): Pick<typeof Commands, 'runCommand'> {
  const file = `${directory}/${bundle}-${BUILD}.js`
  const cachedData = readCache(`${directory}/${bundle}-${BUILD}.cache`)
  const script = new Script(readFileSync(file, 'latin1'), { filename: file, ...(cachedData && { cachedData }) })
  const module = { exports: {} }
  const start = script.runInThisContext() as ModuleFunction
  start(module.exports, require, module)
  return module.exports as typeof Commands
}

function readCache(file: string): Buffer | undefined {
  // Coverage counts only what V8 compiles itself.
  if (process.env.NODE_V8_COVERAGE !== undefined) return undefined
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}
