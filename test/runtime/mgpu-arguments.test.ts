/** What operators type, in the spellings of the first machines and in ours. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readArguments } from '../../runtime/mgpu/read-arguments.ts'
import { resolveTargets } from '../../runtime/mgpu/resolve-targets.ts'
import type { ProgramName } from '../../runtime/mgpu/verb-table.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'

const test = suite('arguments of mgpu')

const plan = planFixture({
  types: ['comfyui', 'redis-worker', 'ollama'],
  plan: {
    bundles: {
      comfyui: ['comfyui-gpu0', 'comfyui-gpu1'],
      gpu0: ['comfyui-gpu0', 'redis-worker-gpu0'],
      gpu1: ['comfyui-gpu1', 'redis-worker-gpu1'],
    },
  },
})

/** `verb: services`, or the complaint. */
function meaning(line: string): string {
  const [program, ...words] = line.split(' ')
  const reading = readArguments(program as ProgramName, words)
  if (reading.kind === 'help') return `help ${reading.verb ?? ''}`.trim()
  if (reading.kind === 'problem') return reading.message
  const targets = resolveTargets(plan, reading.request)
  if (typeof targets === 'string') return targets
  const { verb } = reading.request
  return `${verb}: ${targets.services.length === plan.services.length ? 'all' : targets.services.map(({ name }) => name).join(' ')}`
}

const MEANINGS: readonly (readonly [string, string])[] = [
  ['mgpu status', 'status: all'],
  ['mgpu start all', 'start: all'],
  ['mgpu comfyui start 0', 'start: comfyui-gpu0'],
  ['mgpu comfyui stop all', 'stop: comfyui-gpu0 comfyui-gpu1'],
  ['mgpu comfyui status', 'status: comfyui-gpu0 comfyui-gpu1'],
  ['mgpu stop 1', 'stop: comfyui-gpu1 redis-worker-gpu1'],
  ['mgpu gpu0 restart', 'restart: comfyui-gpu0 redis-worker-gpu0'],
  ['mgpu restart comfyui-gpu1', 'restart: comfyui-gpu1'],
  ['mgpu restart comfyui 1', 'restart: comfyui-gpu1'],
  ['mgpu worker restart 0', 'restart: redis-worker-gpu0'],
  ['mgpu redis-worker status', 'status: redis-worker-gpu0 redis-worker-gpu1'],
  ['mgpu nginx stop', 'stop: nginx'],
  ['mgpu comfyui count', 'count: all'],
  ['mgpu count', 'count: all'],
  ['wgpu status all', 'status: redis-worker-gpu0 redis-worker-gpu1'],
  ['wgpu stop 0', 'stop: redis-worker-gpu0'],
  ['wgpu logs 0 50 --no-follow', 'logs: redis-worker-gpu0'],
  ['service comfyui start 0 1', 'start: comfyui-gpu0'],
  ['service ollama start 0', 'start: ollama'],
  ['service worker-watchdog status', 'status: sidecar'],
  ['mgpu comfyui start 2', "GPU ID '2' is out of range. Must be between 0 and 1"],
  ['mgpu comfyui start x', "GPU ID 'x' is out of range. Must be between 0 and 1"],
  ['mgpu comfyui start -1', `Unknown option '-1'`],
  ['mgpu comfyui-gpu0 start 1', '"comfyui-gpu0" does not run on GPU 1'],
  ['mgpu a1111 start 0', 'this machine has no "automatic1111"'],
  ['mgpu comfui start', 'there is no service "comfui"; did you mean "comfyui"?'],
  ['mgpu comfyui strat 0', 'there is no command "strat"; did you mean "start"?'],
  ['mgpu', 'a command is missing'],
  ['mgpu start 0 1 2', 'cannot use "2": too many words'],
  ['mgpu status --level info', 'cannot use --level with "status"'],
  ['mgpu start --wait 60', 'cannot use "60" as --wait: a duration has a unit, as in "60s" or "5m"'],
  ['mgpu start --wait 1m --no-wait', 'cannot use --wait and --no-wait together'],
  ['mgpu doctor 0', 'cannot use "0" with "doctor": it is about the whole machine'],
  ['mgpu completion fish', '"completion" takes one of bash, zsh'],
  ['wgpu top', 'there is no command "top"; did you mean "stop"?'],
  ['mcomfy start', 'there is no command "start"'],
  ['mgpu --help', 'help'],
  ['mgpu help logs', 'help logs'],
  ['mgpu comfyui logs --help', 'help logs'],
]

for (const [line, expected] of MEANINGS) {
  test(`"${line}": ${expected}`, () => assert.is(meaning(line), expected))
}

const LINES: readonly (readonly [string, number | null, boolean | null])[] = [
  ['mgpu logs', null, null],
  ['mgpu comfyui logs all -n', null, false],
  ['mgpu comfyui logs 0 no-follow', null, false],
  ['mgpu logs -n 50', 50, null],
  ['mgpu logs -n50 -n', 50, false],
  ['mgpu logs --lines 7 --no-follow', 7, false],
  ['wgpu logs 0 20', 20, null],
  ['wgpu logs all 20 -f', 20, true],
]

for (const [line, lines, follow] of LINES) {
  test(`"${line}" begins with ${lines ?? 'the usual number of'} lines and ${follow === null ? 'follows as usual' : follow ? 'follows' : 'ends'}`, () => {
    const [program, ...words] = line.split(' ')
    const reading = readArguments(program as ProgramName, words)
    assert.is(reading.kind, 'request', JSON.stringify(reading))
    if (reading.kind !== 'request') return
    assert.equal([reading.request.options.lines, reading.request.options.follow], [lines, follow])
  })
}

test('a machine without a GPU says so', () => {
  const bare = planFixture({ gpuCount: 0, types: [] })
  const said = resolveTargets(bare, { program: 'mgpu', service: null, gpu: '0' })
  assert.is(said, "GPU ID '0' is out of range. This machine has no GPU")
})

test.run()
