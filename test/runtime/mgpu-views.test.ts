/** What the operator's program shows: tables, pictures, reports of provisioners, completion. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { completionScript } from '../../runtime/mgpu/completion.ts'
import { formatEvent } from '../../runtime/mgpu/event-lines.ts'
import { formatBytes, formatDuration } from '../../runtime/mgpu/format.ts'
import { formatHelp } from '../../runtime/mgpu/help.ts'
import { formatLogLine } from '../../runtime/mgpu/log-lines.ts'
import { reportModels, reportNodes } from '../../runtime/mgpu/provision-report.ts'
import { openScreen } from '../../runtime/mgpu/screen.ts'
import { formatTable } from '../../runtime/mgpu/table.ts'
import { verbNames } from '../../runtime/mgpu/verb-table.ts'
import type { PlannedModel } from '../../schema/plan.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { runMgpu } from './run-mgpu.ts'
import { writeMachine } from './supervised-machine.ts'

const test = suite('views of mgpu')

test('a table is as wide as the terminal at the most, and colours do not count', () => {
  const rows = [['a', { text: 'ready', color: 'green' as const }, 'a long reason that does not fit']]
  const plain = formatTable(['NAME', 'STATE', 'REASON'], rows, { color: false, columns: 24 })
  assert.equal(plain, ['NAME  STATE  REASON', 'a     ready  a long rea…'])
  const colored = formatTable(['NAME', 'STATE', 'REASON'], rows, { color: true, columns: 24 })
  assert.is(colored[1]!.replaceAll(/\u001b\[\d+m/g, ''), plain[1])
  assert.match(colored[1]!, /\u001b\[32mready\u001b\[0m {2}a long/)
})

test('durations and sizes are short', () => {
  assert.equal([4000, 65_000, 7_320_000, 90_000_000].map(formatDuration), ['4 s', '1 min', '2 h 2 min', '1 d 1 h'])
  assert.equal([512, 1536, 24 * 1024 ** 3, 200 * 1024 ** 2].map(formatBytes), [
    '512 B',
    '1.5 KiB',
    '24.0 GiB',
    '200 MiB',
  ])
})

test('a screen is drawn in one write, cut to the height of the terminal, and left as it was', () => {
  const written: string[] = []
  const screen = openScreen({ columns: 80, rows: 3, write: (text) => written.push(text) })
  screen.draw(['one', 'two', 'three'])
  screen.close()
  screen.close()
  assert.is(written.length, 3)
  assert.match(written[1]!, /one\u001b\[K\r\ntwo\u001b\[K\r\n\u001b\[J/)
  assert.not.match(written[1]!, /three/)
  assert.is(written[2], '\u001b[?25h\u001b[?1049l')
})

test('a traceback keeps its lines, set in', () => {
  const line = {
    timestamp: '2026-01-31T12:00:00.123Z',
    level: 'error',
    service: 'a',
    gpu: null,
    context: null,
    correlationId: null,
  } as const
  const text = formatLogLine({ ...line, message: 'Traceback\n  File "x"' }, 'a', false)
  assert.match(text, /^\d\d:\d\d:00\.123 a Traceback\n {6}File "x"$/)
})

test('an event is one line, whatever stands in it', () => {
  const head = { v: 1, bootId: 'b', seq: 1, at: '2026-01-31T12:00:00.123Z', machine: 'm' } as const
  const error = { message: 'cannot\nread \u001b[31mit' }
  const failed = formatEvent({ ...head, type: 'provision.failed', service: 'models', error }, false)
  assert.match(failed, /^\S+ \S+ provision\.failed models cannot read \[31mit$/)
  const context = { operator: 'mgpu root', name: 'gpu0', reason: 'maintenance' }
  assert.match(
    formatEvent({ ...head, type: 'operator.action', status: 'stop', context }, false),
    /operator\.action stop: by mgpu root \(gpu0\): maintenance$/,
  )
})

const model = (file: string): PlannedModel => ({
  entry: 'models[0]',
  url: `https://example.com/${file}`,
  source: { kind: 'http', url: `https://example.com/${file}` },
  folder: 'checkpoints',
  directory: '/models/checkpoints',
  file,
  sha256: null,
  sizeBytes: null,
  when: 'before-start',
  optional: false,
  tokenSecret: null,
  locked: false,
})

test('models are told by what was noted of them and by what lies on the disk', () => {
  const key = (file: string) => `https://example.com/${file} > /models/checkpoints/${file}`
  const noted = (file: string, sizeBytes: number) =>
    [key(file), { target: `/models/checkpoints/${file}`, sizeBytes, mtimeMs: 1, sha256: 'ab' }] as const
  const entries = new Map<string, Readonly<Record<string, unknown>>>([
    noted('good', 10),
    noted('cut', 10),
    noted('gone', 10),
    [key('bad'), { refused: 'its hash is wrong', validator: 'x', wanted: 'y' }],
  ])
  const sizes: Readonly<Record<string, number>> = { good: 10, cut: 5 }
  const files = ['good', 'cut', 'gone', 'bad', 'new']
  const reports = reportModels(files.map(model), entries, (path) => sizes[path.split('/').at(-1)!] ?? null)
  assert.equal(
    reports.map(({ model: name, state, problem }) => [name, state, problem]),
    [
      ['good', 'present', null],
      ['cut', 'changed', 'it had 10 bytes and has 5'],
      ['gone', 'missing', 'it was there and is gone'],
      ['bad', 'refused', 'its hash is wrong'],
      ['new', 'missing', null],
    ],
  )
})

test('nodes are those of the plan, and those that the provisioner knows from elsewhere', () => {
  const entries = new Map([
    ['one', { url: 'https://h/one', commit: 'abc', status: 'ok', problem: null, notes: [] }],
    ['two', { url: 'https://h/two', commit: null, status: 'failed', problem: 'cannot clone it', notes: [] }],
  ])
  const reports = reportNodes(
    [
      { name: 'one', url: 'https://h/one', commit: null },
      { name: 'three', url: 'https://h/three', commit: 'def' },
    ],
    entries,
  )
  assert.equal(
    reports.map(({ name, state, ok, commit, problem }) => [name, state, ok, commit, problem]),
    [
      ['one', 'ok', true, 'abc', null],
      ['three', 'missing', false, 'def', null],
      ['two', 'failed', false, null, 'cannot clone it'],
    ],
  )
})

test('mcomfy reads what the provisioners left on the volume', async () => {
  const { plan, planFile } = await writeMachine([])
  const directory = `${plan.paths.state}/provision`
  mkdirSync(directory, { recursive: true })
  const entries = { one: { url: 'https://h/one', commit: 'abcdef', status: 'ok', problem: null, notes: [] } }
  writeFileSync(`${directory}/custom-nodes.json`, JSON.stringify({ v: 1, entries }))
  const nodes = await runMgpu(['--as', 'mcomfy', 'nodes', '--plan', planFile])
  assert.equal(
    [nodes.code, nodes.stdout],
    [0, 'NODE  STATE  COMMIT  URL            PROBLEM\none   ok     abcdef  https://h/one\n'],
  )
  const models = await runMgpu(['--as', 'mcomfy', 'models', '--json', '--plan', planFile])
  assert.equal([models.code, models.stdout], [0, '{"ok":true,"models":[]}\n'])
})

test('help names every verb of a program, and every option of a verb', () => {
  for (const verb of verbNames) assert.match(formatHelp('mgpu', verb), /^usage: mgpu/)
  assert.match(formatHelp('wgpu', null), /^ {2}rollback +switch back/m)
  assert.match(formatHelp('service', 'start'), /^usage: service SERVICE start \[GPU\|all\]/)
})

test('the completion that the image has is the one that the program prints', () => {
  const bash = readFileSync('rootfs/usr/share/bash-completion/completions/mgpu', 'utf8')
  assert.is(
    bash,
    completionScript('bash'),
    'run: mgpu completion bash > rootfs/usr/share/bash-completion/completions/mgpu',
  )
  const zsh = readFileSync('rootfs/usr/share/zsh/site-functions/_mgpu', 'utf8')
  assert.is(zsh, completionScript('zsh'), 'run: mgpu completion zsh > rootfs/usr/share/zsh/site-functions/_mgpu')
})

const PLAN_TEXT = `{
  "services": [
    {
      "name": "my-api",
      "type": "custom",
      "gpu": 3,
    }
  ],
  "secrets": [
    {
      "name": "redis-url",
      "field": "/redis/url"
`

const COMPLETIONS: readonly (readonly [string, string])[] = [
  ['mgpu sta', 'start status'],
  ['mgpu comfyui re', 'restart'],
  ['mgpu comfyui start ', 'all 3'],
  ['mgpu restart my', 'my-api'],
  ['mgpu restart redis', ''],
  ['mgpu logs --no-', '--no-wait --no-follow'],
  ['mgpu completion z', 'zsh'],
  ['wgpu roll', 'rollback'],
  ['mcomfy m', 'models'],
  ['service my', 'my-api'],
]

for (const [line, expected] of COMPLETIONS) {
  test(`bash completes "${line}" to "${expected}"`, () => {
    const directory = temporaryDirectory()
    writeFileSync(`${directory}/plan.json`, PLAN_TEXT)
    const words = line
      .split(' ')
      .map((word) => `'${word}'`)
      .join(' ')
    const script = `${completionScript('bash')}\nCOMP_WORDS=(${words}) COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))\n_mgpu\necho "\${COMPREPLY[*]}"`
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], {
      encoding: 'utf8',
      cwd: directory,
      env: { PATH: process.env.PATH, MACHINE_PLAN: `${directory}/plan.json` },
    })
    assert.equal([stdout.trim(), stderr], [expected, ''])
  })
}

test.run()
