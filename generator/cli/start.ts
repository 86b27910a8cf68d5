import type * as Commands from './commands.ts'
import { EXIT, reportFailure } from './failure.ts'
import type { Host } from './host.ts'
import type { Invocation } from './invocation.ts'
import type { BundleName } from './load-bundle.ts'
import { readArguments } from './read-arguments.ts'
import { countUnchangedFiles } from './unchanged-tree.ts'

/**
 * Gives what carries a command out; called only where there is something to carry out. `commands` can do all; `render`
 * only that, and is loaded in less time.
 */
export type LoadCommands = (name: Exclude<BundleName, 'start'>) => Pick<typeof Commands, 'runCommand'>

/** The whole command line: reads the words, and carries out what they say. Gives the exit code. */
export async function start(words: readonly string[], host: Host, loadCommands: LoadCommands): Promise<number> {
  const invocation = readArguments(words)
  try {
    const exitCode = isRender(invocation) ? renderUnchanged(invocation, host) : null
    if (exitCode !== null) return exitCode
    const { runCommand } = loadCommands(isRender(invocation) && !invocation.values.watch ? 'render' : 'commands')
    return await runCommand(words, invocation, host)
  } catch (error) {
    return reportFailure(host, invocation?.verb ?? 'start', error)
  }
}

function isRender(invocation: Invocation | null): invocation is Invocation<'render'> {
  return invocation?.verb === 'render'
}

/** The exit code of a render that has nothing to do; `null` where a compilation must tell. */
function renderUnchanged(invocation: Invocation<'render'>, host: Host): number | null {
  const { out, check, quiet, format } = invocation.values
  const count = countUnchangedFiles(invocation, host)
  if (count === null) return null
  if (!check && !quiet && format !== 'json') host.say(`${out}: ${count} files, unchanged\n`)
  return EXIT.done
}
