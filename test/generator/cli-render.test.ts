import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { machinegen } from '../fixtures/built-cli.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

const MACHINE = [
  'machine: { id: m1, gpu: { count: 2, memoryGB: 24, model: "${MODEL:-X}" } }',
  'services:',
  '  nginx: {}',
  '  comfyui: {}',
  '',
].join('\n')

/** A literal secret. */
const WARNED = MACHINE.replace('nginx: {}', 'nginx: { auth: { password: hunter22 } }')

function workshop(text = MACHINE) {
  const cwd = temporaryDirectory()
  writeFileSync(join(cwd, 'machine.yaml'), text)
  const render = (words: string[] = [], environment: Record<string, string> = {}) =>
    machinegen(['render', 'machine.yaml', '--out', 'tree', ...words], { cwd, environment })
  const at = (path: string) => join(cwd, 'tree', path)
  return { cwd, render, at }
}

/** Every file with what would tell that it was touched. */
function snapshot(root: string): string {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((path) => {
      const { mtimeNs, ctimeNs, ino, mode } = statSync(join(root, path), { bigint: true })
      return `${path} ${mtimeNs} ${ctimeNs} ${ino} ${mode}`
    })
    .join('\n')
}

const NGINX_RUN = 'etc/s6-overlay/s6-rc.d/nginx/run'

test('render writes a tree, and the same run again touches nothing of it', () => {
  const { cwd, render } = workshop()
  const first = render()
  assert.is(first.exitCode, 0, first.stderr)
  assert.is(first.stdout, '')
  assert.match(first.stderr, /^tree: \d+ files, \d+ changed$/m)
  const before = snapshot(join(cwd, 'tree'))
  assert.match(render().stderr, /^tree: \d+ files, unchanged$/m)
  assert.is(snapshot(join(cwd, 'tree')), before)
  assert.equal(render(['--quiet']), { exitCode: 0, stdout: '', stderr: '' })
})

test('the tree of a container holds the programs that run in it, and says that they are ES modules', () => {
  const { render, at } = workshop()
  render()
  for (const name of ['sidecar.js', 'provision.js']) {
    assert.is(statSync(at(`usr/lib/machinegen/${name}`)).mode & 0o777, 0o755)
    assert.equal(readFileSync(at(`usr/lib/machinegen/${name}`)), readFileSync(`dist/${name}`))
  }
  assert.equal(JSON.parse(readFileSync(at('usr/lib/machinegen/package.json'), 'utf8')), { type: 'module' })
  assert.throws(() => statSync(at('usr/lib/machinegen/simulate.js')), 'only a simulated machine needs it')
  render(['--simulate'])
  assert.ok(statSync(at('usr/lib/machinegen/simulate.js')).isFile())
})

test('generated files say what they are made from, the same from everywhere', () => {
  const { cwd, render, at } = workshop()
  render()
  const [, marker] = readFileSync(at(NGINX_RUN), 'utf8').split('\n')
  assert.match(
    marker!,
    /^# Made by machinegen from machine\.yaml \(sha256 [0-9a-f]{12}\): edit that and run "machinegen render machine\.yaml"\.$/,
  )
  assert.is(machinegen(['render', join(cwd, 'machine.yaml'), '--out', join(cwd, 'other'), '-q']).exitCode, 0)
  assert.is(readFileSync(join(cwd, 'other', NGINX_RUN), 'utf8'), readFileSync(at(NGINX_RUN), 'utf8'))
})

test('a file name cannot break out of the comment that tells it', () => {
  const { cwd } = workshop()
  const name = 'a\nrm -rf x\n.yaml'
  writeFileSync(join(cwd, name), MACHINE)
  assert.is(machinegen(['render', name, '--out', 'tree', '-q'], { cwd }).exitCode, 0)
  const [, marker, next] = readFileSync(join(cwd, 'tree', NGINX_RUN), 'utf8').split('\n')
  assert.match(marker!, /^# Made by machinegen from "a\\\\x0arm -rf x/)
  assert.is(next, 'exec 2>&1')
})

for (const [what, change] of [
  ['the content of a file', ({ at }) => writeFileSync(at(NGINX_RUN), 'changed')],
  [
    'content of the same length',
    ({ at }) => writeFileSync(at(NGINX_RUN), readFileSync(at(NGINX_RUN), 'utf8').replace('exec', 'axec')),
  ],
  ['the mode of a file', ({ at }) => chmodSync(at(NGINX_RUN), 0o700)],
  ['a missing file', ({ at }) => rmSync(at(NGINX_RUN))],
] as [string, (shop: ReturnType<typeof workshop>) => void][]) {
  test(`a second render finds ${what}, and puts it right`, () => {
    const shop = workshop()
    shop.render()
    const [content, mode] = [readFileSync(shop.at(NGINX_RUN)), statSync(shop.at(NGINX_RUN)).mode]
    change(shop)
    const check = shop.render(['--check'])
    assert.is(check.exitCode, 1)
    assert.match(check.stdout, NGINX_RUN)
    assert.match(shop.render(['--dry-run']).stdout, NGINX_RUN)
    assert.match(shop.render().stderr, /, 1 changed$/m)
    assert.equal([readFileSync(shop.at(NGINX_RUN)), statSync(shop.at(NGINX_RUN)).mode], [content, mode])
    assert.equal(shop.render(['--check']), { exitCode: 0, stdout: '', stderr: '' })
  })
}

for (const [what, words, environment, edit] of [
  ['a layer', [], {}, (text: string) => text.replace('comfyui: {}', 'comfyui: { basePort: 9000 }')],
  ['a variable that a layer names', [], { MODEL: 'Y' }, (text: string) => text],
  ['an option', ['--set', 'services.comfyui.basePort=9000'], {}, (text: string) => text],
  ['the GPUs', ['--set', 'machine.gpu.count=1'], {}, (text: string) => text],
] as [string, string[], Record<string, string>, (text: string) => string][]) {
  test(`another value of ${what} is another tree`, () => {
    const { cwd, render } = workshop()
    render()
    writeFileSync(join(cwd, 'machine.yaml'), edit(MACHINE))
    assert.is(render(['--check', ...words], environment).exitCode, 1)
    assert.match(render(words, environment).stderr, /\d+ changed/)
    assert.is(render(['--check', ...words], environment).exitCode, 0)
    assert.match(render(words, environment).stderr, /, unchanged$/m)
  })
}

test('a variable that no layer names changes nothing', () => {
  const { render } = workshop()
  render()
  assert.match(render([], { UNRELATED: 'x', NUM_GPUS: '7' }).stderr, /, unchanged$/m)
})

test('with --env the variables of the originals count, set later or not', () => {
  const { render, at } = workshop()
  const gpus = () => JSON.parse(readFileSync(at('etc/machinegen/plan.json'), 'utf8')).gpus.length
  render(['--env'])
  assert.is(gpus(), 2)
  render(['--env'], { NUM_GPUS: '3' })
  assert.is(gpus(), 3)
  assert.match(render(['--env'], { NUM_GPUS: '3' }).stderr, /, unchanged$/m)
  render(['--env'])
  assert.is(gpus(), 2)
})

test('errors write nothing, and leave the tree of before', () => {
  const { cwd, render } = workshop()
  render()
  const before = snapshot(join(cwd, 'tree'))
  writeFileSync(join(cwd, 'machine.yaml'), MACHINE.replace('nginx: {}', 'nginx: { port: 8188 }'))
  const { exitCode, stdout, stderr } = render()
  assert.equal([exitCode, stdout], [1, ''])
  assert.match(stderr, 'error[PORT_CONFLICT]')
  assert.is(snapshot(join(cwd, 'tree')), before)
})

test('warnings are said at every run, changed or not', () => {
  const { render } = workshop(WARNED)
  for (const expected of [/\d+ changed/, /unchanged/]) {
    const { exitCode, stderr } = render()
    assert.is(exitCode, 0)
    assert.match(stderr, 'warning[LITERAL_SECRET]')
    assert.not.match(stderr, 'hunter22')
    assert.match(stderr, expected)
  }
})

test('a foreign file in the place of one of ours is a finding, until --force', () => {
  const { render, at } = workshop()
  mkdirSync(at('etc/machinegen'), { recursive: true })
  writeFileSync(at('etc/machinegen/plan.json'), 'mine')
  const { exitCode, stderr } = render()
  assert.is(exitCode, 1)
  assert.match(stderr, 'cannot write "etc/machinegen/plan.json"')
  assert.is(readFileSync(at('etc/machinegen/plan.json'), 'utf8'), 'mine')
  assert.is(render(['--force']).exitCode, 0)
  assert.is.not(readFileSync(at('etc/machinegen/plan.json'), 'utf8'), 'mine')
})

test('an unfinished tree is refused by --check, and completed by the next render', () => {
  const { render, at } = workshop()
  render()
  writeFileSync(at('.machinegen/unfinished'), readFileSync(at('.machinegen/manifest.json')))
  const { exitCode, stdout } = render(['--check'])
  assert.is(exitCode, 1)
  assert.match(stdout, '.machinegen/unfinished')
  assert.is(render().exitCode, 0)
  assert.is(render(['--check']).exitCode, 0)
})

test('--dry-run and --check write nothing at all', () => {
  const { cwd, render } = workshop()
  const dry = render(['--dry-run'])
  assert.is(dry.exitCode, 0)
  assert.match(dry.stdout, /^create {2}etc\/machinegen\/plan\.json$/m)
  const check = render(['--check'])
  assert.is(check.exitCode, 1)
  assert.match(check.stdout, /^etc\/machinegen\/plan\.json is missing$/m)
  assert.equal(readdirSync(cwd), ['machine.yaml'])
})

test('--json lists the files with mode, hash, size, source and change, and no hash of a secret', () => {
  const { render, at } = workshop(WARNED)
  const list = () => JSON.parse(render(['--json']).stdout)
  const first = list()
  const run = first.files.find(({ path }: { path: string }) => path === NGINX_RUN)
  assert.equal(Object.keys(run), ['path', 'mode', 'sha256', 'sizeBytes', 'source', 'change'])
  assert.equal(
    [run.mode, run.source, run.change, run.sizeBytes],
    ['0755', 's6', 'create', statSync(at(NGINX_RUN)).size],
  )
  const secrets = first.files.filter(({ mode }: { mode: string }) => mode === '0600')
  assert.ok(secrets.length > 0)
  for (const { sha256 } of secrets) assert.is(sha256, null)
  const second = list()
  assert.equal(new Set(second.files.map(({ change }: { change: string }) => change)), new Set(['none']))
  assert.equal(second.removed, [])
})

test('the local target keeps its paths below the state directory', () => {
  const { cwd, render, at } = workshop()
  assert.is(render(['--target', 'local', '--simulate']).exitCode, 0)
  const plan = JSON.parse(readFileSync(at('config/plan.json'), 'utf8'))
  assert.is(plan.paths.root, join(cwd, 'tree'))
  assert.is(plan.paths.programs, join(process.cwd(), 'dist'))
  assert.match(render(['--target', 'local', '--simulate']).stderr, /, unchanged$/m)
})

test.run()
