import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { initialProgress } from '../../runtime/local/boot-progress.ts'
import { formatTable } from '../../runtime/local/boot-table.ts'
import { missingTools } from '../../runtime/local/required-tools.ts'
import { lockState } from '../../runtime/local/state-lock.ts'
import { findTreeProcesses } from '../../runtime/local/tree-processes.ts'
import { nextToStop } from '../../runtime/shared/stop-order.ts'
import { createTerminalBlock } from '../../runtime/shared/terminal-block.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { bundleProgram, plannedService, until } from './local-tree.ts'
import { type MachineTree, portOf, untilState, writeMachine } from './supervised-machine.ts'

const upProgram = bundleProgram('test/runtime/run-local.fixture.ts', `${temporaryDirectory()}/up.mjs`)

interface Up {
  readonly child: ChildProcess
  readonly output: () => string
  readonly errors: () => string
  readonly ended: Promise<number | null>
}

function startUp({ planFile }: MachineTree, mode = 'lines', env: NodeJS.ProcessEnv = {}): Up {
  const child = spawn(process.execPath, [upProgram, planFile, mode], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  let [output, errors] = ['', '']
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  return { child, output: () => output, errors: () => errors, ended }
}

const remaining = ({ root }: MachineTree) => findTreeProcesses(root).map(({ pid, name }) => `${name} ${pid}`)
const untilReady = (up: Up) =>
  until(`all is ready: ${up.output()}${up.errors()}`, 20_000, () => up.output().includes('all ready'))

/** Writes a line to a shared file when it is told to stop, after a pause. */
const RECORDER = (file: string) => [
  'sh',
  '-c',
  `trap 'sleep 0.2; echo "$0" >>"$1"; exit 0' TERM; while :; do sleep 0.05; done`,
  '',
  file,
]

function recorder(name: string, file: string, stopsBefore: string[]) {
  const command = RECORDER(file)
  command[3] = name
  return { name, command, stopsBefore: [...stopsBefore, 'sidecar'] }
}

test('a machine boots, says so, stops in order at SIGINT and leaves nothing', async () => {
  const record = `${temporaryDirectory()}/order`
  const tree = await writeMachine([
    { ...recorder('store', record, []), waitsFor: [] },
    { ...recorder('app', record, ['store']), waitsFor: ['store'] },
    { ...recorder('worker-gpu0', record, ['app', 'store']), waitsFor: ['app'], gpu: 0 },
    { name: 'job', kind: 'task', command: ['true'], probe: { kind: 'task' } },
  ])
  const up = startUp(tree)
  await untilReady(up)
  assert.match(up.output(), /^0\.0s sidecar {2}http:\/\/127\.0\.0\.1:\d+\/health$/m)
  assert.match(up.output(), /^\d+\.\ds worker-gpu0 ready after \d+\.\d s$/m)
  assert.match(up.output(), /^\d+\.\ds job done after \d+\.\d s$/m)
  assert.is((await tree.ask('/health')).status, 200)
  const running = findTreeProcesses(tree.root)
  assert.ok(running.some(({ name }) => name === 's6-svscan'))

  up.child.kill('SIGINT')
  assert.is(await up.ended, 0, up.errors())
  assert.is(readFileSync(record, 'utf8'), 'worker-gpu0\napp\nstore\n')
  const stopped = [...up.output().matchAll(/^\S+ (\S+) stopped$/gm)].map(([, name]) => name)
  assert.equal(stopped, ['worker-gpu0', 'app', 'store', 'sidecar'])
  assert.equal(remaining(tree), [])
  assert.is(up.errors(), '')
  const log = readFileSync(`${tree.plan.paths.logs}/sidecar/current`, 'utf8')
  const farewell = log.indexOf('the machine is about to stop')
  assert.ok(farewell > 0 && farewell < log.indexOf('\\"worker-gpu0\\" is stopping'), 'the sidecar said goodbye first')
})

test('services stop side by side where no order stands between them, also in the middle of a boot', async () => {
  const record = `${temporaryDirectory()}/order`
  const waiting = { waitsFor: ['never'], command: ['sleep', '1000'] }
  const tree = await writeMachine([
    { name: 'never', http: true, delayMs: 600_000 },
    ...['a', 'b', 'c', 'd'].map((name) => recorder(name, record, [])),
    { name: 'late', ...waiting },
    { name: 'polite', ...waiting, stop: { signal: 'SIGINT', timeoutMs: 5000 } },
  ])
  const up = startUp(tree)
  await untilState(tree, 'late', 'waiting')
  await untilState(tree, 'd', 'ready')
  const startedMs = Date.now()
  up.child.kill('SIGTERM')
  assert.is(await up.ended, 0, up.errors())
  assert.ok(Date.now() - startedMs < 4000, `${Date.now() - startedMs} ms`)
  assert.equal(readFileSync(record, 'utf8').trim().split('\n').sort(), ['a', 'b', 'c', 'd'])
  assert.equal(remaining(tree), [])
})

test('a service that ignores its signal is killed after its timeout, and its children with it', async () => {
  const tree = await writeMachine([
    {
      name: 'stubborn',
      command: ['sh', '-c', "trap '' TERM; sleep 1000 & while :; do sleep 1; done"],
      stop: { signal: 'SIGTERM', timeoutMs: 600 },
    },
  ])
  const up = startUp(tree)
  await untilReady(up)
  up.child.kill('SIGTERM')
  assert.is(await up.ended, 0, up.errors())
  assert.equal(remaining(tree), [])
})

test('a second signal kills everything', async () => {
  const tree = await writeMachine([
    {
      name: 'stubborn',
      command: ['sh', '-c', "trap '' TERM; while :; do sleep 1; done"],
      stop: { signal: 'SIGTERM', timeoutMs: 60_000 },
    },
  ])
  const up = startUp(tree)
  await untilReady(up)
  up.child.kill('SIGINT')
  await until('it stops', 5000, () => up.output().includes('a second one kills it'))
  up.child.kill('SIGINT')
  assert.is(await up.ended, 3)
  assert.equal(remaining(tree), [])
})

test('what a killed run left behind is ended before the next one starts', async () => {
  const tree = await writeMachine([{ name: 'app', http: true }])
  const first = startUp(tree)
  await untilReady(first)
  const { pid } = (await tree.ask('/services/app')).body
  first.child.kill('SIGKILL')
  await first.ended
  assert.ok(remaining(tree).length > 0, 'the machine runs on')
  const second = startUp(tree)
  await untilReady(second)
  assert.match(second.errors(), /ends what an earlier run left/)
  assert.is.not((await tree.ask('/services/app')).body.pid, pid)
  second.child.kill('SIGTERM')
  assert.is(await second.ended, 0)
  assert.equal(remaining(tree), [])
})

test('a second machine on the same directory is refused, and the first runs on', async () => {
  const tree = await writeMachine([{ name: 'app', http: true }])
  const first = startUp(tree)
  await untilReady(first)
  const second = startUp(tree)
  assert.is(await second.ended, 3)
  assert.match(second.errors(), new RegExp(`process ${first.child.pid} runs it already`))
  assert.is((await tree.ask('/health')).status, 200)
  first.child.kill('SIGTERM')
  assert.is(await first.ended, 0)
})

test('a machine whose s6-svscan dies is ended, and the reason told', async () => {
  const tree = await writeMachine([{ name: 'app', http: true }])
  const up = startUp(tree)
  await untilReady(up)
  process.kill(findTreeProcesses(tree.root).find(({ name }) => name === 's6-svscan')!.pid, 'SIGKILL')
  assert.is(await up.ended, 3)
  assert.match(up.errors(), /s6-svscan has ended \(signal SIGKILL\)/)
  assert.equal(remaining(tree), [])
})

test('ports that strangers have are named with their services, and nothing is started', async () => {
  const tree = await writeMachine([
    { name: 'app', http: true },
    { name: 'free', http: true },
  ])
  const stranger = createServer()
  await new Promise<void>((resolve) => stranger.listen(portOf(tree, 'app'), '127.0.0.1', resolve))
  const up = startUp(tree)
  assert.is(await up.ended, 3)
  assert.match(up.errors(), new RegExp(`^up: cannot use port ${portOf(tree, 'app')} for "app": another program`))
  assert.is(up.errors().trim().split('\n').length, 1)
  assert.equal(remaining(tree), [])
  await new Promise((resolve) => stranger.close(resolve))
})

test('a missing tool is named with its package, before anything is touched', async () => {
  const tree = await writeMachine([])
  const bare = temporaryDirectory()
  const up = startUp(tree, 'lines', { PATH: bare })
  assert.is(await up.ended, 3)
  assert.match(up.errors(), /^up: cannot find "s6-svscan", .*: install the package "s6" \(apt-get install s6\)$/m)
  assert.not(existsSync(tree.plan.paths.run))
  for (const tool of ['s6-svscan', 's6-log']) symlinkSync('/bin/true', `${bare}/${tool}`)
  writeFileSync(`${bare}/s6-svc`, '')
  chmodSync(`${bare}/s6-svc`, 0o644)
  const [missing] = missingTools({ proxy: null }, bare)
  assert.ok(missing?.tools.includes('s6-svc') && !missing.tools.includes('s6-log'), 'a file without x is no tool')
})

test('what setup cannot do stops the start with exit code 1', async () => {
  const tree = await writeMachine([])
  const plan = {
    ...tree.plan,
    secrets: [{ name: 'token', field: '/token', source: { kind: 'reference', template: '${NEVER_SET:?say it}' } }],
  }
  writeFileSync(tree.planFile, JSON.stringify(plan))
  const up = startUp(tree)
  assert.is(await up.ended, 1)
  assert.match(up.errors(), /^up: cannot resolve secret "token" \(\/token\): .*say it/)
})

test('on a terminal the boot is a table that is painted in place', async () => {
  const tree = await writeMachine([{ name: 'app', http: true, delayMs: 300, gpu: 1 }])
  const up = startUp(tree, 'terminal', { NO_COLOR: '1' })
  await until('the table says so', 20_000, () => up.output().includes('all 2 ready'))
  up.child.kill('SIGINT')
  assert.is(await up.ended, 0)
  assert.match(up.output(), /^\S*SERVICE +GPU +STATE +PORT +TIME/m)
  assert.match(up.output(), new RegExp(`app +1 +ready +${portOf(tree, 'app')} +\\d\\.\\d s`))
  assert.equal(remaining(tree), [])
})

const gpuService = (index: number) => plannedService({ name: `comfyui-gpu${index}`, gpu: index, port: 8188 + index })
const rowOf = (index: number, state: 'ready' | 'waiting') => ({
  ...initialProgress(gpuService(index), 0),
  state,
  startupMs: 2100,
  reason: state === 'waiting' ? 'waits for ollama' : null,
})

test('the table fits narrow and low terminals, and shows first what is not ready', () => {
  const progress = Array.from({ length: 8 }, (_, index) => rowOf(index, index === 6 ? 'waiting' : 'ready'))
  const layout = { columns: 80, rows: 24, color: false, nowMs: 3000 }
  const full = formatTable(progress, layout)
  assert.is(full.length, 9)
  assert.is(full[1], 'comfyui-gpu0  0    ready    8188  2.1 s')
  assert.is(full[7], 'comfyui-gpu6  6    waiting  8194  3.0 s  waits for ollama')
  const low = formatTable(progress, { ...layout, rows: 4 })
  assert.equal(
    low.map((line) => line.split(' ')[0]),
    ['SERVICE', 'comfyui-gpu0', 'comfyui-gpu6', 'and'],
  )
  for (const line of formatTable(progress, { ...layout, columns: 20 })) assert.ok(line.length <= 20, line)
  assert.match(formatTable(progress, { ...layout, color: true })[1]!, /\u001b\[32mready\u001b\[0m/)
})

test('a block is repainted over itself in one write, and only if it changed', () => {
  const writes: string[] = []
  const block = createTerminalBlock({ write: (text) => writes.push(text) })
  block.paint(['one', 'two'])
  block.paint(['one', 'two'])
  block.paint(['one', 'three'])
  assert.is(writes.length, 2)
  assert.match(writes[1]!, /\u001b\[2A\rone\u001b\[K\nthree\u001b\[K\n\u001b\[J/)
})

const stopping = (name: string, stopsBefore: string[], type: 'custom' | 'sidecar' = 'custom') => ({
  name,
  type,
  stopsBefore,
})

test('what stops next is what nothing that runs must stop before', () => {
  const services = [
    stopping('sidecar', [], 'sidecar'),
    stopping('store', []),
    stopping('app', ['store']),
    stopping('worker', ['app']),
    stopping('other', []),
  ]
  const next = (down: string[], told: string[]) => nextToStop(services, new Set(down), new Set(told))
  assert.equal(next([], []), ['worker', 'other'])
  assert.equal(next([], ['worker', 'other']), [])
  assert.equal(next(['worker'], ['worker', 'other']), ['app'])
  assert.equal(next(['worker', 'app', 'store'], ['worker', 'other', 'app', 'store']), [])
  assert.equal(next(['worker', 'app', 'store', 'other'], ['worker', 'other', 'app', 'store']), ['sidecar'])
})

test('a lock is held once, and taken over from a process that is gone', () => {
  const directory = `${temporaryDirectory()}/state`
  mkdirSync(directory)
  writeFileSync(`${directory}/up.lock`, JSON.stringify({ pid: process.pid, startTicks: '1' }))
  const lock = lockState(directory)
  assert.ok('release' in lock, 'a process of that number that started at another time is another one')
  assert.equal(lockState(directory), { heldBy: process.pid })
  lock.release()
  writeFileSync(`${directory}/up.lock`, 'torn')
  const again = lockState(directory)
  assert.ok('release' in again)
  again.release()
})

test.run()
