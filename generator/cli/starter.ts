/** What a command line needs at once: a bundle of its own, so that V8 need not compile it at each start. */
export { processHost } from './host.ts'
export { start } from './start.ts'
