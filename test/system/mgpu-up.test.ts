/** The operator's program, as it is installed, on a whole machine of `machinegen up`. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { sendControl } from '../../runtime/shared/service-control.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import {
  allReady,
  eventually,
  type RunningMachine,
  services,
  startMachine,
  stopAll,
  stopMachine,
} from './running-machine.ts'

interface Context {
  machine: RunningMachine
  mgpu: (line: string, environment?: NodeJS.ProcessEnv) => { code: number | null; stdout: string; stderr: string }
}

const test = suite<Context>('mgpu on a machine of up')

const MACHINE = `
machine: { id: desk-1, gpu: { count: 2, memoryGB: 24, model: RTX 4090 } }
services:
  nginx: { port: 80 }
  comfyui: { basePort: 8188 }
  redisWorker: {}
`

const program = `${process.cwd()}/${JSON.parse(readFileSync('package.json', 'utf8')).bin.mgpu}`

test.before(async (context) => {
  context.machine = await startMachine(MACHINE)
  const planFile = `${context.machine.stateDirectory}/config/plan.json`
  context.mgpu = (line, environment = {}) => {
    const words = [program, ...line.split(' ')]
    const env = { ...process.env, MACHINE_PLAN: planFile, ...environment }
    const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8', env, timeout: 120_000 })
    return { code: status, stdout, stderr }
  }
  await eventually('all ready', () => allReady(context.machine), 60_000)
})

test.after(async () => stopAll())

test('status of a machine that is well is 0', ({ mgpu }) => {
  const { code, stdout, stderr } = mgpu('status')
  assert.is(code, 0, stdout + stderr)
  assert.match(stdout, /^comfyui-gpu1 +1 +ready +yes/m)
  assert.match(stderr, /^desk-1: ready, up /)
})

test('one GPU is stopped and started: its worker first down, last up', async ({ mgpu, machine }) => {
  const stopped = mgpu('stop 1')
  assert.is(stopped.code, 0, stopped.stdout + stopped.stderr)
  assert.equal(stopped.stdout.trim().split('\n'), ['redis-worker-gpu1: down', 'comfyui-gpu1: down'])
  assert.is((await services(machine))['comfyui-gpu0']!.ready, true)
  assert.is(mgpu('status').code, 1)
  const started = mgpu('start 1')
  assert.is(started.code, 0, started.stdout + started.stderr)
  assert.match(started.stdout, /^comfyui-gpu1: ready after .*\nredis-worker-gpu1: ready after /)
})

test('the originals’ words work: wgpu, service, mcomfy, by the name of a link too', ({ mgpu }) => {
  assert.is(mgpu('--as wgpu restart 0').code, 0)
  assert.match(mgpu('--as wgpu logs all 5').stdout, /^\d\d:\d\d:\d\d\.\d{3} redis-worker-gpu\d /)
  assert.is(mgpu('--as service comfyui status 0').code, 0)
  assert.is(mgpu('--as service ollama status').code === 0, false)
  assert.is(mgpu('--as mcomfy models').code, 0)
  assert.is(mgpu('count').stdout, '2\n')
  assert.is(mgpu('setup').code, 0)
  const directory = temporaryDirectory()
  mkdirSync(`${directory}/bin`)
  symlinkSync(program, `${directory}/bin/wgpu`)
  const { status, stdout } = spawnSync(`${directory}/bin/wgpu`, ['--help'], { encoding: 'utf8' })
  assert.is(status, 0)
  assert.match(stdout, /^usage: wgpu COMMAND/)
})

test('the doctor finds nothing wrong, then a stranger on a port', async ({ mgpu, machine }) => {
  const well = mgpu('doctor')
  assert.is(well.code, 0, well.stdout + well.stderr)
  assert.is(mgpu('comfyui stop 0').code, 0)
  const port = 8188 + machine.portOffset
  const stranger = spawn(process.execPath, ['-e', `require('node:net').createServer().listen(${port}, '127.0.0.1')`], {
    stdio: 'ignore',
  })
  try {
    await eventually('what it has', () => mgpu('doctor --json').stdout.includes('PORT_TAKEN'))
    const { findings } = JSON.parse(mgpu('doctor --json').stdout)
    const finding = findings.find(({ code }: { code: string }) => code === 'PORT_TAKEN')
    assert.match(finding.text, new RegExp(`port ${port} of comfyui-gpu0 is taken by process ${stranger.pid} \\(`))
  } finally {
    stranger.kill('SIGKILL')
  }
  assert.is(mgpu('comfyui start 0').code, 0)
})

test('top fills a screen, ends with q, and leaves the terminal as it was', async ({ machine }) => {
  if (spawnSync('script', ['--version']).status !== 0)
    return console.log('  skipped: there is no "script" to make a terminal')
  const env = { ...process.env, MACHINE_PLAN: `${machine.stateDirectory}/config/plan.json`, TERM: 'xterm' }
  const terminal = spawn('script', ['-qfec', `${process.execPath} ${program} top`, '/dev/null'], { env })
  let output = ''
  terminal.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ended = new Promise((resolve) => terminal.once('exit', resolve))
  try {
    await eventually('a picture', () => output.includes('comfyui-gpu1'))
    terminal.stdin.write('q')
    assert.is(await ended, 0)
  } finally {
    terminal.kill()
  }
  assert.ok(output.startsWith('\u001b[?1049h\u001b[?25l'))
  assert.ok(output.trimEnd().endsWith('\u001b[?25h\u001b[?1049l'))
})

test('with its sidecar held down the machine is still the operator’s', async ({ mgpu, machine }) => {
  const { pid } = (await services(machine)).sidecar!
  assert.ok(pid !== null && pid > 1)
  sendControl(`${machine.stateDirectory}/services/sidecar`, 'd')
  try {
    process.kill(pid!, 'SIGKILL')
  } catch {
    // The order was faster.
  }
  await eventually('silence', () => mgpu('status').stderr.includes('does not answer'))
  const restarted = mgpu('comfyui restart all')
  assert.is(restarted.code, 0, restarted.stdout + restarted.stderr)
  assert.match(restarted.stdout, /comfyui-gpu0: ready after .*probed from here/)
  assert.match(mgpu('comfyui status').stdout, /comfyui-gpu1 +1 +ready +yes/)
  assert.is(mgpu('logs comfyui -n').code, 0)
  const doctor = mgpu('doctor')
  assert.is(doctor.code, 1)
  assert.match(doctor.stdout, /^error\[SIDECAR_SILENT\]/)
  assert.is(mgpu('sidecar start').code, 0)
  await eventually('all ready again', () => allReady(machine), 60_000)
})

test('of a machine that was stopped, all is down', async ({ mgpu, machine }) => {
  assert.is(await stopMachine(machine), 0)
  const { code, stdout, stderr } = mgpu('status')
  assert.is(code, 1)
  assert.match(stdout, /^nginx +- +down +no/m)
  assert.match(stderr, /not running: no supervisor looks after it/)
  const started = mgpu('nginx start')
  assert.equal([started.code, started.stdout], [1, 'nginx: cannot start it: no supervisor looks after it\n'])
  assert.match(mgpu('doctor').stdout, /NO_SUPERVISOR.*\n +-> start it with "machinegen up"/)
})

test.run()
