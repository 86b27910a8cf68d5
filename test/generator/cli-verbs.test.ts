import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { machinegen } from '../fixtures/built-cli.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const GOOD = 'machine: { id: m1, gpu: { count: 2, memoryGB: 24, model: X } }\nservices:\n  nginx: {}\n  comfyui: {}\n'
/** Unknown key, with a suggestion. */
const BAD = GOOD.replace('comfyui: {}', 'comfyui: { basePrt: 1 }')
/** A literal secret. */
const WARNED = GOOD.replace('nginx: {}', 'nginx: { auth: { password: hunter22 } }')

function directoryWith(files: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory()
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  return directory
}

test('without a command, it is a usage error that names the help', () => {
  const { exitCode, stdout, stderr } = machinegen([])
  assert.is(exitCode, 2)
  assert.is(stdout, '')
  assert.match(stderr, 'machinegen --help')
})

test('help and version are results', () => {
  const help = machinegen(['--help'])
  assert.is(help.exitCode, 0)
  assert.is(help.stderr, '')
  for (const verb of ['init', 'validate', 'render', 'diff', 'plan', 'explain', 'graph', 'schema', 'check', 'up'])
    assert.match(help.stdout, `machinegen ${verb}`)
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  assert.is(machinegen(['--version']).stdout, `${version}\n`)
})

test('a misspelt command, option or value gets a suggestion and exit code 2', () => {
  for (const [words, suggestion] of [
    [['rendr'], 'did you mean "render"?'],
    [['render', '--otu', 'x'], 'did you mean --out?'],
    [['plan', '--port_offset=1'], 'did you mean --port-offset?'],
    [['render', '--out', 'x', '--target', 'contaner'], 'did you mean "container"?'],
    [['completion', 'bsh'], ''],
  ] as const) {
    const { exitCode, stdout, stderr } = machinegen(words)
    assert.is(exitCode, 2, words.join(' '))
    assert.is(stdout, '')
    assert.match(stderr, suggestion)
    assert.not.match(stderr, /^\s+at /m)
  }
})

test('what is missing or contradicts itself is said in words', () => {
  const problem = (...words: string[]) => {
    const { exitCode, stderr } = machinegen(words)
    assert.is(exitCode, 2, words.join(' '))
    return stderr.split('\n')[0]
  }
  assert.is(problem('render'), 'machinegen: cannot go on without --out DIR')
  assert.is(problem('render', '--out'), 'machinegen: cannot use --out without a value')
  assert.is(problem('render', '--out', 'a', '--out', 'b'), 'machinegen: cannot use --out more than once')
  assert.is(
    problem('render', '--out', 'a', '--check', '--watch'),
    'machinegen: cannot use --check together with --watch',
  )
  assert.is(
    problem('plan', '--gpus', 'two'),
    'machinegen: cannot use "two" for --gpus: it must be a whole number from 0 to 1024',
  )
  assert.is(
    problem('check', '.', '--s6-overlay', 'v3'),
    'machinegen: cannot use "v3" for --s6-overlay: it must be a version like 3.2.3.2',
  )
  assert.is(problem('check'), 'machinegen: cannot check nothing: DIR is missing')
  assert.is(problem('plan', '-', '-f', '-'), 'machinegen: cannot read standard input twice')
})

test('init writes a machine file that validates, with its schema beside it, and replaces nothing unasked', () => {
  for (const example of ['small', 'full']) {
    const cwd = temporaryDirectory()
    const first = machinegen(['init', '--example', example], { cwd })
    assert.is(first.exitCode, 0, first.stderr)
    assert.is(first.stdout, 'machine.yaml\nmachine.schema.json\n')
    const text = readFileSync(join(cwd, 'machine.yaml'), 'utf8')
    assert.is(text.split('\n')[0], '# yaml-language-server: $schema=./machine.schema.json')
    const validated = machinegen(['validate', '--strict'], { cwd })
    assert.is(validated.exitCode, 0, validated.stdout)

    writeFileSync(join(cwd, 'machine.yaml'), 'mine')
    assert.is(machinegen(['init'], { cwd }).exitCode, 1)
    assert.is(readFileSync(join(cwd, 'machine.yaml'), 'utf8'), 'mine')
    assert.is(machinegen(['init', '--force'], { cwd }).exitCode, 0)
    assert.is.not(readFileSync(join(cwd, 'machine.yaml'), 'utf8'), 'mine')
  }
})

test('init makes the directory or the file that is named', () => {
  const cwd = temporaryDirectory()
  assert.is(machinegen(['init', 'deep/er'], { cwd }).exitCode, 0)
  assert.ok(existsSync(join(cwd, 'deep/er/machine.yaml')))
  assert.is(machinegen(['init', 'box.yml'], { cwd }).exitCode, 0)
  assert.ok(existsSync(join(cwd, 'box.yml')))
})

test('the default machine file is found, and its absence is explained', () => {
  const cwd = directoryWith({ 'machine.yml': GOOD })
  assert.is(machinegen(['validate'], { cwd }).exitCode, 0)
  const { exitCode, stderr } = machinegen(['validate'], { cwd: temporaryDirectory() })
  assert.is(exitCode, 2)
  assert.match(stderr, 'machinegen init')
})

test('validate prints findings as its result, and nothing else on the same stream', () => {
  const cwd = directoryWith({ 'good.yaml': GOOD, 'bad.yaml': BAD, 'warned.yaml': WARNED })
  const good = machinegen(['validate', 'good.yaml'], { cwd })
  assert.equal(good, { exitCode: 0, stdout: '', stderr: 'good.yaml: nothing wrong\n' })
  assert.equal(machinegen(['validate', 'good.yaml', '--quiet'], { cwd }), { exitCode: 0, stdout: '', stderr: '' })

  const bad = machinegen(['validate', 'bad.yaml'], { cwd })
  assert.is(bad.exitCode, 1)
  assert.is(bad.stderr, '')
  assert.match(bad.stdout, 'bad.yaml:4:14: error[UNKNOWN_KEY]')
  assert.match(bad.stdout, 'did you mean "basePort"?')

  assert.is(machinegen(['validate', 'warned.yaml'], { cwd }).exitCode, 0)
  assert.is(machinegen(['validate', 'warned.yaml', '--strict'], { cwd }).exitCode, 1)
})

test('findings come as JSON and as GitHub annotations', () => {
  const cwd = directoryWith({ 'good.yaml': GOOD, 'bad.yaml': BAD })
  const json = JSON.parse(machinegen(['validate', 'bad.yaml', '--format', 'json'], { cwd }).stdout)
  assert.is(json.errors, 1)
  assert.is(json.diagnostics[0].code, 'UNKNOWN_KEY')
  assert.equal(JSON.parse(machinegen(['validate', 'good.yaml', '--format=json'], { cwd }).stdout).diagnostics, [])
  const github = machinegen(['validate', 'bad.yaml', '--format', 'github'], { cwd }).stdout
  assert.match(github, /^::error file=bad\.yaml,line=4,col=14,/)
})

test('colour comes only where it is wanted', () => {
  const cwd = directoryWith({ 'bad.yaml': BAD })
  const hasColor = (environment: Record<string, string>) =>
    machinegen(['validate', 'bad.yaml'], { cwd, environment }).stdout.includes('\u001b[')
  assert.is(hasColor({}), false, 'a pipe is no terminal')
  assert.is(hasColor({ FORCE_COLOR: '1' }), true)
  assert.is(hasColor({ FORCE_COLOR: '1', NO_COLOR: '1' }), true, 'FORCE_COLOR decides alone')
  assert.is(hasColor({ FORCE_COLOR: '0' }), false)
})

test('layers, --set, standard input and the environment all reach the compiler', () => {
  const cwd = directoryWith({ 'base.yaml': GOOD, 'prod.yaml': 'services: { comfyui: { basePort: "${PORT}" } }\n' })
  const portOf = (words: string[], options = {}) => {
    const { exitCode, stdout, stderr } = machinegen(['plan', '--json', ...words], { cwd, ...options })
    assert.is(exitCode, 0, stderr)
    return JSON.parse(stdout).services.find((service: { name: string }) => service.name === 'comfyui-gpu0').port
  }
  assert.is(portOf(['base.yaml']), 8188)
  assert.is(portOf(['base.yaml', '-f', 'prod.yaml'], { environment: { PORT: '9100' } }), 9100)
  assert.is(portOf(['-f', 'base.yaml', '--set', 'services.comfyui.basePort=9200']), 9200)
  assert.is(portOf(['-'], { input: GOOD }), 8188)
  assert.is(portOf(['base.yaml', '--port-offset', '1000']), 9188)
  assert.is(portOf(['base.yaml', '--env'], { environment: { COMFYUI_PORT_START: '9300' } }), 9300)
  assert.is(portOf(['base.yaml'], { environment: { COMFYUI_PORT_START: '9300' } }), 8188, 'only with --env')
})

test('an automatic GPU count asks --gpus, then nvidia-smi, then the user', () => {
  const cwd = directoryWith({ 'auto.yaml': GOOD.replace('count: 2', 'count: auto') })
  mkdirSync(join(cwd, 'bin'))
  const tool = '#!/bin/sh\nfor n in 0 1 2; do echo "GPU $n: X (UUID: GPU-$n)"; done\n'
  writeFileSync(join(cwd, 'bin/nvidia-smi'), tool, { mode: 0o755 })
  const gpus = (words: string[], environment = {}) => {
    const { exitCode, stdout } = machinegen(['plan', '--json', 'auto.yaml', ...words], { cwd, environment })
    return exitCode === 0 ? JSON.parse(stdout).gpus.length : exitCode
  }
  assert.is(gpus(['--gpus', '5']), 5)
  assert.is(gpus([], { PATH: `${cwd}/bin:${process.env.PATH}` }), 3)
  assert.is(gpus([], { PATH: join(cwd, 'nothing') }), 1)
})

test('plan is a table for people and plan.json for programs', () => {
  const cwd = directoryWith({ 'machine.yaml': GOOD })
  const { stdout } = machinegen(['plan'], { cwd })
  assert.match(stdout, /^m1: 2 GPUs: X, 24 GB, container$/m)
  assert.match(stdout, /^SERVICE +GPU +PORT +ROUTE +WAITS FOR +RESTARTS +STOP$/m)
  assert.match(stdout, /^comfyui-gpu1 +1 +8189 +\/comfyui\/1\/ \/comfyui\/ :3189 +- +5 in 10m +INT 10s$/m)
  assert.match(stdout, /^longest stop: /m)
  assert.is(JSON.parse(machinegen(['plan', '--json'], { cwd }).stdout).version, 1)
})

test('the schema is printed as it is', () => {
  const { exitCode, stdout } = machinegen(['schema'])
  assert.is(exitCode, 0)
  assert.equal(JSON.parse(stdout), JSON.parse(readFileSync('schema/machine.schema.json', 'utf8')))
})

test('check lints a tree, and says where it could not look', () => {
  const cwd = temporaryDirectory()
  writeFileSync(join(cwd, 'machine.yaml'), GOOD)
  assert.is(machinegen(['render', '--out', 'tree', '-q'], { cwd }).exitCode, 0)
  const clean = machinegen(['check', 'tree'], { cwd })
  assert.equal([clean.exitCode, clean.stdout], [0, ''], clean.stdout)
  writeFileSync(join(cwd, 'tree/etc/s6-overlay/s6-rc.d/nginx/type'), 'longrum\n')
  const broken = machinegen(['check', 'tree', '--rules-only'], { cwd })
  assert.is(broken.exitCode, 1)
  assert.match(broken.stdout, /^tree\/etc\/s6-overlay\/s6-rc\.d\/nginx\/type:1:1: error\[S6_BAD_TYPE\]/m)
  const missing = machinegen(['check', 'nowhere'], { cwd })
  assert.is(missing.exitCode, 3)
  assert.match(missing.stderr, 'cannot check "nowhere"')
})

test('what the system refuses is exit code 3, in words and without a stack', () => {
  const cwd = directoryWith({ 'machine.yaml': GOOD, file: '' })
  for (const [words, text] of [
    [['plan', 'missing.yaml'], 'cannot read "missing.yaml": there is no such file'],
    [['plan', '.'], 'cannot read ".": it is a directory'],
    [['render', '--out', 'file/below'], 'cannot write "file/below"'],
    [['render', '--out', 'file'], 'cannot write "file": it is not a directory'],
  ] as const) {
    const { exitCode, stdout, stderr } = machinegen(words, { cwd })
    assert.equal([exitCode, stdout], [3, ''], `${words.join(' ')}: ${stderr}`)
    assert.match(stderr, text)
    assert.not.match(stderr, /^\s+at /m)
  }
})

test('an endless or binary input ends in a finding', () => {
  const { exitCode, stdout } = machinegen(['validate', '/dev/zero'])
  assert.is(exitCode, 1)
  assert.match(stdout, 'INPUT_TOO_LARGE')
})

test('completion scripts are for the shell that is named', () => {
  assert.match(machinegen(['completion', 'bash']).stdout, 'complete -o bashdefault')
  assert.match(machinegen(['completion', 'zsh']).stdout, '#compdef machinegen')
})

test('a shell that completes gets verbs, and the options of a verb', () => {
  const complete = (...words: string[]) => machinegen(['--get-yargs-completions', 'machinegen', ...words]).stdout
  assert.match(complete(''), /^render(:.*)?$/m)
  assert.match(complete('render', '--'), /^--port-offset(:.*)?$/m)
})

test.run()
