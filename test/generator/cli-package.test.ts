import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { cleanEnvironment, ROOT } from '../fixtures/built-cli.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const CACHE = temporaryDirectory()
/** No registry is asked: the package has no dependencies. */
const OFFLINE = { npm_config_offline: 'true', npm_config_audit: 'false', npm_config_fund: 'false' }

function run(command: string, words: readonly string[], cwd: string): string {
  const environment = cleanEnvironment({ ...OFFLINE, npm_config_cache: CACHE })
  const { status, stdout, stderr } = spawnSync(command, words, { cwd, encoding: 'utf8', env: environment })
  assert.is(status, 0, `${command} ${words.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

/** A folder with nothing in it but the installed package. */
function installed(): string {
  const folder = temporaryDirectory()
  const packed = join(folder, 'packed')
  mkdirSync(packed)
  run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', packed], ROOT)
  const [tarball] = readdirSync(packed)
  writeFileSync(join(folder, 'package.json'), '{"type":"module","private":true}\n')
  run('npm', ['install', '--silent', join(packed, tarball!)], folder)
  return folder
}

const folder = installed()

test('the package brings all that it needs', () => {
  assert.equal(
    readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.')),
    ['machinegen'],
  )
})

test('npx machinegen makes a machine and its tree in an empty folder', () => {
  run('npx', ['machinegen', 'init'], folder)
  run('npx', ['machinegen', 'render', 'machine.yaml', '--out', 'tree'], folder)
  const plan = JSON.parse(readFileSync(join(folder, 'tree/etc/machinegen/plan.json'), 'utf8'))
  assert.is(plan.machine.id, 'my-machine')
  run('npx', ['machinegen', 'render', 'machine.yaml', '--out', 'tree', '--check'], folder)
  assert.match(run('npx', ['machinegen', '--help'], folder), 'machinegen render')
})

test('the compiler is a typed function', () => {
  const program = `import { type Compilation, compile, type Diagnostic, formatDiagnostics, type Plan } from 'machinegen'
const { plan, artifacts, diagnostics, texts }: Compilation = compile({
  sources: [{ file: 'm.yaml', text: 'machine: { id: m1, gpu: { count: 1, memoryGB: 8, model: X } }\\nservices: {}' }],
})
const first: Diagnostic | undefined = diagnostics[0]
const found: Plan | null = plan
console.log(found?.machine.id, artifacts.length > 0, first, formatDiagnostics(diagnostics, texts, { format: 'pretty', color: false }))
// @ts-expect-error a source has a text
compile({ sources: [{ file: 'm.yaml' }] })
`
  writeFileSync(join(folder, 'program.ts'), program)
  const config = {
    compilerOptions: {
      module: 'NodeNext',
      target: 'ES2023',
      strict: true,
      outDir: 'out',
      types: ['node'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
    },
    files: ['program.ts'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.'], folder)
  writeFileSync(
    join(folder, 'run.js'),
    readFileSync(join(folder, 'out/program.js'), 'utf8').replace(
      /compile\(\{ sources: \[\{ file: 'm.yaml' \}\] \}\)/,
      '',
    ),
  )
  assert.is(run(process.execPath, ['run.js'], folder).trim(), 'm1 true undefined')
})

test.run()
