/**
 * The command line. What starts it is small, so that a render of an unchanged machine is over before the compiler would
 * have been loaded. Everything else is in the bundles that it loads.
 */
import type * as Commands from './commands.ts'
import { loadBundle } from './load-bundle.ts'
import type * as Starter from './starter.ts'

const { processHost, start } = loadBundle<typeof Starter>(__dirname, 'start')

start(process.argv.slice(2), processHost(__dirname), (name) => loadBundle<typeof Commands>(__dirname, name)).then(
  (exitCode) => {
    // All is written by now; what is left in memory need not be taken apart.
    process.exit(exitCode)
  },
)
