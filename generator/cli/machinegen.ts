/**
 * The command line, as it starts: small, so that a render of an unchanged machine is over before the compiler would have
 * been loaded. Everything else is in `commands`.
 */
import { EXIT, reportFailure } from './failure.ts'
import { type Host, processHost } from './host.ts'
import type { Invocation } from './invocation.ts'
import { loadCommands } from './load-commands.ts'
import { readArguments } from './read-arguments.ts'
import { countUnchangedFiles } from './unchanged-tree.ts'

const host = processHost(__dirname)
const words = process.argv.slice(2)

/** The exit code of a render that has nothing to do; `null` for everything else. */
function renderUnchanged(invocation: Invocation | null): number | null {
  if (invocation?.verb !== 'render') return null
  const { values } = invocation as Invocation<'render'>
  const count = countUnchangedFiles(invocation as Invocation<'render'>, host)
  if (count === null) return null
  if (!values.check && !values.quiet && values.format !== 'json') host.say(`${values.out}: ${count} files, unchanged\n`)
  return EXIT.done
}

function isPlainRender(invocation: Invocation | null): boolean {
  return invocation?.verb === 'render' && !(invocation as Invocation<'render'>).values.watch
}

async function main(host: Host): Promise<number> {
  const invocation = readArguments(words)
  try {
    const done = renderUnchanged(invocation)
    if (done !== null) return done
    const { runCommand } = loadCommands(__dirname, isPlainRender(invocation) ? 'render' : 'commands')
    return await runCommand(words, invocation, host)
  } catch (error) {
    return reportFailure(host, invocation?.verb ?? 'start', error)
  }
}

main(host).then((exitCode) => {
  process.exitCode = exitCode
})
