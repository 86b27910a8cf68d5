import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'uvu'
import { parse } from 'yaml'
import { compile } from '../../generator/compile.ts'
import { isSecretVariable } from '../../generator/validate/secret-places.ts'
import { freeText, written } from '../fixtures/machine-arbitrary.ts'
import { writeArtifacts } from '../fixtures/write-artifacts.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

/** Variables that a shell keeps for itself; what a program is given of them is up to it. */
const OF_THE_SHELL = /^(PATH|PWD|OLDPWD|IFS|PPID|PS\d|OPTIND|_)$/
const variableName = fc
  .stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,12}$/)
  .filter((name) => !OF_THE_SHELL.test(name) && !/^NODE_|^SSL_|^LD_|^PORT$|^CUDA_/.test(name))

interface Program {
  readonly command: readonly string[]
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, unknown>>
  readonly directory?: string
}

interface Seen {
  readonly words: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly directory: string
}

/** A folder with a program that prints what it was given, and the path of that program. */
function printer(name = 'print'): { readonly folder: string; readonly program: string } {
  const folder = temporaryDirectory()
  const program = join(folder, name)
  const source = `#!${process.execPath}
process.stdout.write(JSON.stringify({ words: process.argv.slice(2), environment: process.env, directory: process.cwd() }))
`
  writeFileSync(program, source)
  chmodSync(program, 0o755)
  return { folder, program }
}

/** Compiles a machine with the service for the local target and executes its `run` as a supervisor would. */
function runService(service: Program): Seen {
  const stateDirectory = temporaryDirectory()
  const text = JSON.stringify({ machine: { id: 'm', gpu: { count: 0 } }, services: { program: service } })
  const { artifacts, diagnostics } = compile({
    sources: [{ file: 'machine.json', text }],
    target: 'local',
    local: { stateDirectory, programDirectory: '/programs', node: process.execPath },
  })
  assert.deepEqual(diagnostics, [])
  writeArtifacts(stateDirectory, artifacts)
  mkdirSync(join(stateDirectory, 'workspace', service.directory ?? ''), { recursive: true })
  const cwd = join(stateDirectory, 'services/program')
  const { stdout, status } = spawnSync('./run', [], { cwd, env: { PATH: process.env.PATH }, encoding: 'utf8' })
  assert.equal(status, 0, stdout)
  return JSON.parse(stdout)
}

test('any argument and any variable of a machine file reach the program as they went in', () => {
  const { program } = printer()
  fc.assert(
    fc.property(
      fc.array(freeText, { maxLength: 12 }),
      fc.array(freeText, { maxLength: 12 }),
      fc.dictionary(variableName, freeText, { maxKeys: 12 }),
      (words, args, variables) => {
        const env = Object.entries(variables).filter(([name, value]) => value === '' || !isSecretVariable(name, value))
        const seen = runService({
          command: [program, ...words.map(written)],
          args: args.map(written),
          env: Object.fromEntries(env.map(([name, value]) => [name, written(value)])),
        })
        assert.deepEqual(seen.words, [...words, ...args])
        assert.deepEqual(
          env.map(([name]) => [name, seen.environment[name]]),
          env,
        )
      },
    ),
    { numRuns: 60 },
  )
})

test('numbers, truth and the longest values arrive too', () => {
  const { program } = printer()
  const long = 'ä'.repeat(60_000)
  const { words, environment } = runService({ command: [program, long], env: { N: 1.5, T: true, E: '', LONG: long } })
  assert.deepEqual(words, [long])
  const { N, T, E, LONG } = environment
  assert.deepEqual([N, T, E, LONG === long], ['1.5', 'true', '', true])
})

test('a program with a name that means something to a shell is found and run', () => {
  for (const name of ["it's", 'a b', 'A=1', '$HOME', '*', '~', '#x', '-x', 'if']) {
    const { folder, program } = printer(name)
    assert.deepEqual(runService({ command: [written(program), '1'] }).words, ['1'], name)
    assert.deepEqual(runService({ command: [written(name), '1'], env: { PATH: folder } }).words, ['1'], name)
  }
})

test("the program is looked for on the user's path, and the tools on the machine's", () => {
  const { folder } = printer('mine')
  const { environment } = runService({ command: ['mine'], env: { PATH: folder, X: '1' } })
  assert.deepEqual([environment.PATH, environment.X], [folder, '1'])
})

test('the program starts in its directory, whatever that is called', () => {
  const { program } = printer()
  for (const directory of ['a b', 'ä/漢', '-x', '[1]', '~']) {
    const seen = runService({ command: [program], directory })
    assert.ok(seen.directory.endsWith(`/workspace/${directory}`), seen.directory)
  }
})

test('the path file of ComfyUI says the same to a YAML reader, and has no list', () => {
  const folders = fc.stringMatching(/^[A-Za-z0-9 _~@+=:,.()[\]!-]{1,20}$/).filter((name) => !/^\.*$/.test(name))
  fc.assert(
    fc.property(fc.oneof(folders, fc.constantFrom('ä 漢', 'yes', '1.0', 'null', '- a', ': b')), (name) => {
      const machine = { machine: { id: 'm' }, services: { comfyui: {} }, paths: { shared: `/mnt/${name}` } }
      const { artifacts, diagnostics } = compile({ sources: [{ file: 'm.json', text: JSON.stringify(machine) }] })
      assert.deepEqual(diagnostics, [])
      const file = artifacts.find(({ path }) => path.endsWith('comfy_dir_config.yaml'))
      const { comfyui } = parse(String(file?.content))
      assert.equal(comfyui.base_path, `/mnt/${name}`)
      const { base_path: _, is_default, ...folders } = comfyui
      assert.equal(is_default, true)
      for (const [key, path] of Object.entries(folders)) assert.match(String(path), new RegExp(`(^|/)${key}/$`))
    }),
    { numRuns: 200 },
  )
})

test.run()
