/**
 * `code-cache.ts FILE.js`: runs the bundled commands once and keeps what V8 compiled for that beside them. The next start
 * with this Node compiles nothing that a render needs.
 */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Script } from 'node:vm'
import type { runCommand } from '../generator/cli/commands.ts'
import { cacheFile } from '../generator/cli/load-commands.ts'
import { readArguments } from '../generator/cli/read-arguments.ts'

const file = resolve(process.argv[2]!)
const script = new Script(readFileSync(file, 'latin1'), { filename: file })
const module = { exports: {} as { runCommand: typeof runCommand } }
script.runInThisContext()(module.exports, createRequire(file), module)

const directory = mkdtempSync(join(tmpdir(), 'machinegen-build-'))
const complaints: string[] = []
const host = {
  environment: {},
  programDirectory: resolve('dist'),
  print: () => {},
  say: (text: string) => complaints.push(text),
}
const words = ['render', 'examples/basic-machine.yaml', '--out', `${directory}/tree`, '--quiet']
const exitCode = await module.exports.runCommand(words, readArguments(words), host)
rmSync(directory, { recursive: true })
if (exitCode !== 0) throw new Error(`cannot warm up: ${complaints.join('')}`)

const cache = cacheFile(file)
writeFileSync(`${cache}.new`, script.createCachedData())
renameSync(`${cache}.new`, cache)
