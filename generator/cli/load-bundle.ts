import { readFileSync } from 'node:fs'
import { Script } from 'node:vm'
import { BUILD } from './build-facts.ts'

/** Bundles beside the command line; what each of them exports is the module of its name here. */
export type BundleName = 'start' | 'render' | 'commands'

type ModuleFunction<Exports> = (exports: Exports, require: NodeJS.Require, module: { exports: Exports }) => void

/**
 * Loads a bundle, with the code that V8 compiled from it when it was built: compiling it anew takes longer than a
 * render. Where the build was made with another Node, the text is compiled as usual.
 */
export function loadBundle<Exports extends object>(directory: string, name: BundleName): Exports {
  return loadFile(`${directory}/${name}-${BUILD}.js`, require).exports as Exports
}

/** The same of a file, with the script for who wants to keep what V8 made of it. */
export function loadFile(file: string, require: NodeJS.Require): { readonly exports: object; readonly script: Script } {
  const cachedData = readCache(cacheFile(file))
  const script = new Script(readFileSync(file, 'latin1'), { filename: file, ...(cachedData && { cachedData }) })
  const module = { exports: {} }
  const run = script.runInThisContext() as ModuleFunction<object>
  run(module.exports, require, module)
  return { exports: module.exports, script }
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
