/** The operator's program on a machine under real supervisors: with its sidecar, then without it. */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { sendControl } from '../../runtime/shared/service-control.ts'
import { until } from './local-tree.ts'
import { type MgpuRun, runMgpu, startMgpu } from './run-mgpu.ts'
import { type Json, type MachineTree, portOf, supervise, untilState, writeMachine } from './supervised-machine.ts'

interface Context {
  tree: MachineTree
  stop: () => Promise<void>
}

const test = suite<Context>('mgpu on a machine')

const mgpu = ({ planFile }: MachineTree, line: string): Promise<MgpuRun> =>
  runMgpu([...line.split(' '), '--plan', planFile])

const told = ({ code, stdout, stderr }: MgpuRun): string => `exit code ${code}\n${stdout}\n${stderr}`

const service = async ({ ask }: MachineTree, name: string): Promise<Json> => (await ask(`/services/${name}`)).body

const statusOf = async (tree: MachineTree, name: string): Promise<Json> => {
  const { stdout } = await mgpu(tree, `${name} status --json`)
  return JSON.parse(stdout).services[0]
}

test.before(async (context) => {
  context.tree = await writeMachine([
    { name: 'app', http: true, delayMs: 200 },
    { name: 'side', http: true, waitsFor: ['app'], stopsBefore: ['sidecar', 'app'] },
    { name: 'stubborn', http: true, environment: { IGNORE_TERM: '1' }, stop: { signal: 'SIGTERM', timeoutMs: 500 } },
    {
      name: 'broken',
      http: true,
      command: ['sh', '-c', 'echo no such thing; exit 7'],
      restart: { maxAttempts: 2, windowMs: 60_000, backoff: { initialMs: 100, maxMs: 100, factor: 1 } },
    },
    { name: 'job', kind: 'task', command: ['sh', '-c', 'sleep 0.3'], probe: { kind: 'task' } },
  ])
  context.stop = (await supervise(context.tree)).stop
  for (const name of ['app', 'side', 'stubborn']) await untilState(context.tree, name, 'ready')
  await untilState(context.tree, 'broken', 'failed')
  await untilState(context.tree, 'job', 'done')
})

test.after(({ stop }) => stop())

test('status is a table, and 0 only if all that it shows is ready', async ({ tree }) => {
  const app = await mgpu(tree, 'app status')
  assert.is(app.code, 0, told(app))
  assert.match(
    app.stdout,
    /SERVICE +GPU +STATE +READY +PID +PORT +RESTARTS +UPTIME +REASON\napp +- +ready +yes +\d+ +\d+ +0 /,
  )
  const all = await mgpu(tree, 'status')
  assert.is(all.code, 1, told(all))
  assert.match(all.stdout, /broken .* failed +no .* it died 2 times within 60 s, the last time by exit code 7/)
})

test('status in JSON has what the sidecar knows beside', async ({ tree }) => {
  const { stdout } = await mgpu(tree, 'status --json')
  const answer = JSON.parse(stdout)
  assert.is(answer.sidecar.answers, true)
  assert.is(answer.ok, false)
  const job = answer.services.find(({ name }: Json) => name === 'job')
  assert.equal([job.state, job.ready, job.pid], ['done', true, null])
  assert.is(answer.services.find(({ name }: Json) => name === 'app').live, true)
})

test('a restart is over when the next run is ready, and uses no budget', async ({ tree }) => {
  const before = await service(tree, 'app')
  const run = await mgpu(tree, 'app restart')
  assert.is(run.code, 0, told(run))
  assert.match(run.stdout, /^app: ready after \d+\.\d s\n$/)
  const after = await service(tree, 'app')
  assert.is(after.state, 'ready')
  assert.is.not(after.pid, before.pid)
  const { record } = JSON.parse(readFileSync(`${tree.plan.paths.run}/sidecar/services/app.json`, 'utf8'))
  assert.equal(record.history.faults, [])
  await untilState(tree, 'side', 'ready')
})

test('a restart of one that ignores its signal ends in a kill, which counts as the operator’s', async ({ tree }) => {
  const run = await mgpu(tree, 'stubborn restart')
  assert.is(run.code, 0, told(run))
  await untilState(tree, 'stubborn', 'ready')
  const { record } = JSON.parse(readFileSync(`${tree.plan.paths.run}/sidecar/services/stubborn.json`, 'utf8'))
  assert.equal(record.history.faults, [])
})

test('a stop is respected by the sidecar until the next start', async ({ tree }) => {
  const stopped = await mgpu(tree, 'app stop --reason maintenance')
  assert.is(stopped.code, 0, told(stopped))
  assert.is(stopped.stdout, 'app: down\n')
  const { reason } = await untilState(tree, 'app', 'down')
  assert.match(reason, /^stopped by /)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  assert.is((await service(tree, 'app')).state, 'down')
  const status = await mgpu(tree, 'app status')
  assert.is(status.code, 1, told(status))
  const started = await mgpu(tree, 'app start')
  assert.is(started.code, 0, told(started))
  assert.is((await service(tree, 'app')).state, 'ready')
})

test('what an operator does is an event, with who and why', async ({ tree }) => {
  const event = await until('the sidecar has taken the event', 5000, async () => {
    const { stdout } = await mgpu(tree, 'events -n 200 --json')
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    return events.find(
      ({ type, status, service }) => type === 'operator.action' && status === 'stop' && service === 'app',
    )
  })
  assert.match(event.context.operator, /^mgpu ./)
  assert.is(event.context.reason, 'maintenance')
})

test('a start of what was given up tries again with a whole budget, and shows why it failed', async ({ tree }) => {
  const run = await mgpu(tree, 'broken start')
  assert.is(run.code, 1, told(run))
  assert.match(run.stdout, /^broken: failed: it died 2 times within 60 s, the last time by exit code 7\n$/)
  assert.match(run.stderr, /broken \| no such thing/)
})

test('all are started on errors too, and one failure is enough for 1', async ({ tree }) => {
  await mgpu(tree, 'side stop')
  const run = await mgpu(tree, 'start all')
  assert.is(run.code, 1, told(run))
  assert.match(run.stdout, /^side: ready after /m)
  assert.match(run.stdout, /^broken: failed/m)
})

test('a task that is done runs again when it is named, and the wait is for its new end', async ({ tree }) => {
  const startedMs = Date.now()
  const run = await mgpu(tree, 'job start')
  assert.is(run.code, 0, told(run))
  assert.ok(Date.now() - startedMs >= 300)
})

test('stop all leaves the sidecar alone, and what needs a service goes before it', async ({ tree }) => {
  const run = await mgpu(tree, 'stop')
  assert.is(run.code, 0, told(run))
  assert.ok(run.stdout.indexOf('side: down') < run.stdout.indexOf('app: down'), run.stdout)
  assert.not.match(run.stdout, /^sidecar/m)
  assert.is((await service(tree, 'sidecar')).state, 'ready')
  for (const name of ['app', 'side', 'stubborn']) assert.is((await mgpu(tree, `${name} start`)).code, 0)
})

test('a wait has an end, and whoever does not wait gets an answer at once', async ({ tree }) => {
  const late = await mgpu(tree, 'app restart --wait 50ms')
  assert.is(late.code, 1, told(late))
  assert.match(late.stdout, /^app: not ready within 0\.1 s, it is starting/)
  assert.is((await mgpu(tree, 'app start')).code, 0)
  const unwaited = await mgpu(tree, 'app restart --no-wait')
  assert.equal([unwaited.code, unwaited.stdout], [0, 'app: told to start\n'])
  await untilState(tree, 'app', 'ready')
})

test('whoever leaves in the middle of a restart leaves nothing stopped', async ({ tree }) => {
  const { pid } = await service(tree, 'stubborn')
  const restart = startMgpu(['stubborn', 'restart', '--plan', tree.planFile])
  await untilState(tree, 'stubborn', 'stopping')
  restart.child.kill('SIGINT')
  assert.is((await restart.end).code, 1)
  const after = await until('another run is ready', 15_000, async () => {
    const body = await service(tree, 'stubborn')
    return body.state === 'ready' && body.pid !== pid ? body : null
  })
  assert.is(after.ready, true)
})

test('logs are merged in the order of time, and can be narrowed down', async ({ tree }) => {
  const { code, stdout } = await mgpu(tree, 'logs all no-follow --json')
  assert.is(code, 0)
  const times = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).timestamp)
  assert.equal(times, [...times].sort())
  const found = await mgpu(tree, 'broken logs -n --grep thing')
  assert.match(found.stdout, /^\d\d:\d\d:\d\d\.\d{3} no such thing$/m)
})

test('logs follow over a rotation until somebody ends them, which is no error', async ({ tree }) => {
  const following = startMgpu(['logs', 'broken', '-n', '0', '--plan', tree.planFile])
  const shown = () => following.output().match(/no such thing/g)?.length ?? 0
  await new Promise((resolve) => setTimeout(resolve, 500))
  await mgpu(tree, 'broken start')
  await until('the lines of the first start', 10_000, () => shown() >= 2)
  const rotated = await mgpu(tree, 'broken rotate')
  assert.is(rotated.code, 0, told(rotated))
  const directory = `${tree.plan.paths.logs}/broken`
  await until('a closed log file', 5000, () => readdirSync(directory).some((name) => name.startsWith('@')))
  const before = shown()
  await mgpu(tree, 'broken start')
  await until('lines of the new file', 10_000, () => shown() >= before + 2)
  following.child.kill('SIGINT')
  assert.is((await following.end).code, 0)
})

test('tail is for one service', async ({ tree }) => {
  const several = await mgpu(tree, 'tail')
  assert.is(several.code, 2)
  assert.match(several.stderr, /"tail" follows one service: name one of sidecar, app/)
})

test('the doctor explains what was given up, with the end of its log and what to type', async ({ tree }) => {
  const run = await mgpu(tree, 'doctor --json')
  assert.is(run.code, 1, told(run))
  const { findings } = JSON.parse(run.stdout)
  const finding = findings.find(({ service }: Json) => service === 'broken')
  assert.is(finding.code, 'GAVE_UP')
  assert.ok(finding.log.includes('no such thing'))
  assert.match(finding.next, /mgpu broken start/)
  assert.not(findings.some(({ code }: Json) => code === 'SIDECAR_SILENT'))
})

test('top shows one picture where there is no terminal', async ({ tree }) => {
  const { code, stdout } = await mgpu(tree, 'top')
  assert.is(code, 0)
  assert.match(stdout, /^test-machine {2}/)
  assert.match(stdout, /\napp +- +ready +\d/)
})

test('an order to one that is not there is refused by its name, and changes nothing', async ({ tree }) => {
  const run = await mgpu(tree, 'apq restart')
  assert.is(run.code, 2)
  assert.is(run.stderr, 'mgpu: there is no service "apq"; did you mean "app"?\n')
})

const holdSidecarDown = async (tree: MachineTree) => {
  const { pid } = await service(tree, 'sidecar')
  assert.ok(Number.isInteger(pid) && pid > 1)
  sendControl(`${tree.plan.paths.services}/sidecar`, 'd')
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // The order was faster.
  }
  await until('nothing answers', 10_000, () =>
    tree.ask('/version').then(
      () => false,
      () => true,
    ),
  )
}

test('without a sidecar, status probes by itself and says that it does', async ({ tree }) => {
  await holdSidecarDown(tree)
  const startedMs = performance.now()
  const run = await mgpu(tree, 'status')
  assert.is(run.code, 1, told(run))
  assert.ok(performance.now() - startedMs < 3000)
  assert.match(run.stdout, /^app .* ready +yes/m)
  assert.match(run.stdout, /^sidecar .* down +no/m)
  assert.match(run.stderr, /the sidecar does not answer \(nothing listens on port \d+\)/)
  await fetch(`http://127.0.0.1:${portOf(tree, 'app')}/fail`)
  const unready = await statusOf(tree, 'app')
  assert.equal([unready.state, unready.reason], ['unready', 'GET /ok: status 503'])
})

test('without a sidecar, services are stopped, started and restarted', async ({ tree }) => {
  const before = await statusOf(tree, 'app')
  const restarted = await mgpu(tree, 'app restart')
  assert.is(restarted.code, 0, told(restarted))
  assert.match(restarted.stdout, /^app: ready after .* \(probed from here: the sidecar is away\)\n$/)
  const after = await statusOf(tree, 'app')
  assert.is(after.state, 'ready')
  assert.is.not(after.pid, before.pid)
  assert.is((await mgpu(tree, 'app stop')).code, 0)
  assert.is((await statusOf(tree, 'app')).state, 'down')
  assert.is((await mgpu(tree, 'app start')).code, 0)
  assert.is((await statusOf(tree, 'app')).ready, true)
  const gaveUp = await mgpu(tree, 'broken restart')
  assert.is(gaveUp.code, 1, told(gaveUp))
  assert.match(gaveUp.stdout, /failed: it died 2 times/)
})

test('without a sidecar, there are logs, a picture, and a doctor who says that it is away', async ({ tree }) => {
  assert.match((await mgpu(tree, 'broken logs -n')).stdout, /no such thing/)
  assert.match((await mgpu(tree, 'top')).stdout, /the sidecar does not answer/)
  const { findings } = JSON.parse((await mgpu(tree, 'doctor --json')).stdout)
  const silent = findings.find(({ code }: Json) => code === 'SIDECAR_SILENT')
  assert.match(silent.next, /^mgpu sidecar start/)
})

test('the sidecar is started like any other, and hears of what was done meanwhile', async ({ tree }) => {
  assert.ok(readdirSync(`${tree.plan.paths.state}/spool`).some((name) => name.endsWith('.json')))
  const started = await mgpu(tree, 'sidecar start')
  assert.is(started.code, 0, told(started))
  await untilState(tree, 'app', 'ready')
  const spool = () => readdirSync(`${tree.plan.paths.state}/spool`).filter((name) => name.endsWith('.json'))
  await until('the events are taken', 10_000, () => spool().length === 0)
  const { stdout } = await mgpu(tree, 'events -n 100')
  assert.match(stdout, /operator\.action app stop: by mgpu /)
})

test('a machine is found below the working directory, and chosen by its name where there are several', async ({
  tree,
}) => {
  const { mkdirSync, copyFileSync } = await import('node:fs')
  const base = `${tree.root}/places`
  for (const name of ['one', 'two']) {
    mkdirSync(`${base}/.machine/${name}/config`, { recursive: true })
    copyFileSync(tree.planFile, `${base}/.machine/${name}/config/plan.json`)
  }
  const both = await runMgpu(['app', 'status'], {}, base)
  assert.is(both.code, 3)
  assert.match(both.stderr, /there are "one", "two"; name one with --machine/)
  assert.is((await runMgpu(['app', 'status', '--machine', 'two'], {}, base)).code, 0)
  rmSync(`${base}/.machine/two`, { recursive: true })
  assert.is((await runMgpu(['app', 'status'], {}, base)).code, 0)
  assert.is((await runMgpu(['app', 'status'], { MACHINE_PLAN: tree.planFile })).code, 0)
})

test.run()
