import { readFileSync } from 'node:fs'
import { Script } from 'node:vm'
import { BUILD } from './build-facts.ts'
import type * as Commands from './commands.ts'
import type { Bundle } from './start.ts'

type ModuleFunction = (exports: object, require: NodeJS.Require, module: { exports: object }) => void

/**
 * Loads a bundle of commands, with the code that V8 compiled from it when it was built: compiling it anew takes
 * longer than a render. Where the build was made with another Node, the text is compiled as usual.
 */
export function loadCommands(directory: string, bundle: Bundle): Pick<typeof Commands, 'runCommand'> {
  const file = `${directory}/${bundle}-${BUILD}.js`
  const cachedData = readCache(cacheFile(file))
  const script = new Script(readFileSync(file, 'latin1'), { filename: file, ...(cachedData && { cachedData }) })
  const module = { exports: {} }
  const start = script.runInThisContext() as ModuleFunction
  start(module.exports, require, module)
  return module.exports as typeof Commands
}

/** Only for the very Node that made it: V8 itself does not notice every difference. */
export function cacheFile(bundle: string): string {
  return bundle.replace(/\.js$/, `.${process.version}-${process.arch}.cache`)
}

function readCache(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}
