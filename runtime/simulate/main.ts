/**
 * Stand-ins for the services of a GPU machine, for machines without a GPU:
 * `simulate.js comfyui|automatic1111|ollama|redis-worker [the real program's own arguments]`.
 */
import { type Knobs, readKnobs } from './knobs.ts'

const PROGRAMS: Readonly<Record<string, (words: readonly string[], knobs: Knobs) => Promise<void>>> = {
  comfyui: async (words, knobs) => (await import('./comfyui/start.ts')).startComfyUi(words, knobs),
  automatic1111: async (words, knobs) => (await import('./automatic1111/start.ts')).startAutomatic1111(words, knobs),
  ollama: async (words, knobs) => (await import('./ollama/start.ts')).startOllama(words, knobs),
  'redis-worker': async (words, knobs) => (await import('./redis-worker/start.ts')).startRedisWorker(words, knobs),
}

const [name = '', ...words] = process.argv.slice(2)
const start = Object.hasOwn(PROGRAMS, name) ? PROGRAMS[name] : undefined
if (start === undefined) {
  process.stderr.write(`cannot simulate "${name}": the programs are ${Object.keys(PROGRAMS).join(', ')}\n`)
  process.exit(2)
}
try {
  await start(words, readKnobs(name, process.env))
} catch (error) {
  process.stderr.write(`cannot start the simulated "${name}": ${(error as Error).message}\n`)
  process.exit(2)
}
