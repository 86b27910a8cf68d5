/**
 * The command line, as it starts: small, so that a render of an unchanged machine is over before the compiler would have
 * been loaded. Everything else is in the bundles that it loads.
 */
import { processHost } from './host.ts'
import { loadCommands } from './load-commands.ts'
import { start } from './start.ts'

start(process.argv.slice(2), processHost(__dirname), (bundle) => loadCommands(__dirname, bundle)).then((exitCode) => {
  // All is written by now; what is left in memory need not be taken apart.
  process.exit(exitCode)
})
