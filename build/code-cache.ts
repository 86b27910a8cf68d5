/**
 * `code-cache.ts BUNDLE.js...`: uses the first bundle as a render does and keeps what V8 compiled for that beside it. The
 * next start with this Node compiles nothing that a render needs. The others are what the starter loads.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { runCommand } from '../generator/cli/commands.ts'
import { cacheFile, loadFile } from '../generator/cli/load-bundle.ts'
import { readArguments } from '../generator/cli/read-arguments.ts'
import type { start } from '../generator/cli/start.ts'
import { STARTERS } from '../generator/cli/starters.ts'

const [file = '', ...others] = process.argv.slice(2).map((bundle) => resolve(bundle))
const require = createRequire(file)
const { exports, script } = loadFile(file, require)
const bundle = exports as { readonly runCommand: typeof runCommand } | { readonly start: typeof start }

const directory = mkdtempSync(join(tmpdir(), 'machinegen-build-'))
/** Every type of service, and what users set most: what is not run here would be compiled at each render. */
const layers = [STARTERS.full, 'services: { comfyui: { env: { A: b, TOKEN: "${TOKEN:-}" } } }\n']
const files = layers.map((text, index) => {
  const layer = join(directory, `${index}.yaml`)
  writeFileSync(layer, text)
  return layer
})
const complaints: string[] = []
const host = {
  environment: {},
  programDirectory: resolve('dist'),
  print: () => {},
  say: (text: string) => complaints.push(text),
}
const words = ['render', ...files, '--out', `${directory}/tree`]

// Twice: to a new tree, and over an unchanged one.
for (let round = 0; round < 2; round += 1) {
  const exitCode = await ('start' in bundle
    ? bundle.start(words, host, (name) => load(others.find((other) => other.includes(`/${name}-`)) ?? ''))
    : bundle.runCommand(words, readArguments(words), host))
  if (exitCode !== 0) throw new Error(`cannot warm up: ${complaints.join('')}`)
}
rmSync(directory, { recursive: true })

const cache = cacheFile(file)
writeFileSync(`${cache}.new`, script.createCachedData())
renameSync(`${cache}.new`, cache)

function load(other: string): { readonly runCommand: typeof runCommand } {
  return loadFile(other, require).exports as { readonly runCommand: typeof runCommand }
}
