/** What the sidecar and the scripts do about services that do not work, under real supervisors. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { RestartBudget } from '../../schema/plan.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { until } from './local-tree.ts'
import {
  type Draft,
  type Json,
  type MachineTree,
  portOf,
  supervise,
  untilState,
  writeMachine,
} from './supervised-machine.ts'

const budget = (maxAttempts: number, pauseMs = 0): RestartBudget => ({
  maxAttempts,
  windowMs: 60_000,
  backoff: { initialMs: pauseMs, maxMs: pauseMs, factor: 1 },
})

const svc = ({ plan }: MachineTree, orders: string, name: string) =>
  execFileSync('s6-svc', [orders, `${plan.paths.services}/${name}`])

const service = async ({ ask }: MachineTree, name: string): Promise<Json> => (await ask(`/services/${name}`)).body

async function withMachine(drafts: readonly Draft[], use: (tree: MachineTree) => Promise<void>): Promise<void> {
  const tree = await writeMachine(drafts)
  const { stop } = await supervise(tree)
  try {
    await use(tree)
  } finally {
    await stop()
  }
}

/** Whether a process runs; one that has ended and was not waited for does not. */
function runs(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !stat.slice(stat.lastIndexOf(')')).startsWith(') Z')
  } catch {
    return false
  }
}

const pidIn = (file: string): number => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0)

function untilOtherRun(tree: MachineTree, name: string, pid: number): Promise<Json> {
  return until(`another run of "${name}" is ready`, 20_000, async () => {
    const body = await service(tree, name)
    return body.state === 'ready' && body.pid !== pid ? body : null
  })
}

async function killSidecar(tree: MachineTree): Promise<void> {
  const { pid } = await service(tree, 'sidecar')
  process.kill(pid, 'SIGKILL')
  await until('another sidecar is ready', 15_000, async () => {
    const body = await service(tree, 'sidecar').catch(() => null)
    return body?.state === 'ready' && body.pid !== pid
  })
}

test('a service that never becomes ready is given up with the reason, after pauses, until a person starts it', async () => {
  const never: Draft = { name: 'never', http: true, delayMs: 600_000, startupTimeoutMs: 500, restart: budget(3, 1500) }
  await withMachine([never], async (tree) => {
    const pause = await until('it pauses', 15_000, async () => {
      const { state, reason } = await service(tree, 'never')
      return state === 'waiting' && /^starts again in/.test(reason) ? reason : null
    })
    assert.is(pause, 'starts again in 0.5 s')
    const failed = await untilState(tree, 'never', 'failed', 30_000)
    assert.match(failed.reason, /^it did not become ready in 3 starts: not ready within 0.5 s: nothing listens on/)
    assert.is(failed.restarts, 2)
    assert.is((await tree.ask('/health')).status, 503)
    await killSidecar(tree)
    assert.is((await untilState(tree, 'never', 'failed')).reason, failed.reason)
    svc(tree, '-u', 'never')
    await untilState(tree, 'never', 'starting')
    const again = await untilState(tree, 'never', 'failed', 30_000)
    assert.is(again.reason, failed.reason, 'it had its whole budget again')
    assert.is(again.restarts, 5)
  })
})

test('restarts for failed probes use up the budget too', async () => {
  const sick: Draft = {
    name: 'sick',
    http: true,
    restart: budget(2),
    liveness: { intervalMs: 200, timeoutMs: 200, failures: 2 },
  }
  await withMachine([sick], async (tree) => {
    const { pid } = await untilState(tree, 'sick', 'ready')
    const fail = () => fetch(`http://127.0.0.1:${portOf(tree, 'sick')}/fail`)
    await fail()
    await untilOtherRun(tree, 'sick', pid)
    await fail()
    const failed = await untilState(tree, 'sick', 'failed', 20_000)
    assert.match(failed.reason, /^it failed 2 times within 60 s, the last time: 2 probes in a row failed/)
  })
})

test('one that ignores its signal is killed, with all of its process group', async () => {
  const file = `${temporaryDirectory()}/child`
  const wedge: Draft = {
    name: 'wedge',
    http: true,
    environment: { IGNORE_TERM: '1' },
    stop: { signal: 'SIGTERM', timeoutMs: 600 },
    restart: budget(9),
  }
  const tree = await writeMachine([wedge])
  // The same program, with a child beside it that ignores the signal as well.
  const run = `${tree.plan.paths.services}/wedge/run`
  const script = readFileSync(run, 'utf8')
  const child = `sh -c 'trap "" TERM; echo $$ >${file}; while :; do sleep 1; done' &\n`
  writeFileSync(
    run,
    script.replace(/^quiet$/m, () => `quiet\n${child}`),
  )
  const { stop } = await supervise(tree)
  try {
    const { pid } = await untilState(tree, 'wedge', 'ready')
    const first = await until('its child runs', 5000, () => pidIn(file))
    fetch(`http://127.0.0.1:${portOf(tree, 'wedge')}/hang`).catch(() => null)
    const again = await untilOtherRun(tree, 'wedge', pid)
    assert.is(again.lastExit.text, 'signal SIGKILL')
    assert.not(runs(first))
  } finally {
    await stop()
  }
})

/** Leaves a child in a session of its own, which no signal to the group reaches, and whose parent is gone. */
const leaver = (file: string): string[] => [
  'sh',
  '-c',
  `setsid sh -c 'echo $$ >"$0.new"; mv "$0.new" "$0"; exec sleep 1000' "$0" & exec sleep 1000`,
  file,
]

test('a child that left the process group is ended before the next run, and at a stop', async () => {
  const file = `${temporaryDirectory()}/child`
  const bystander = `${temporaryDirectory()}/child`
  const drafts: Draft[] = [
    { name: 'gpu-service', gpu: 0, command: leaver(file), restart: budget(9) },
    { name: 'gpu-service-2', gpu: 1, command: leaver(bystander) },
  ]
  await withMachine(drafts, async (tree) => {
    const { pid } = await untilState(tree, 'gpu-service', 'ready')
    const first = await until('its child runs', 5000, () => pidIn(file))
    const other = await until('the other child runs', 5000, () => pidIn(bystander))
    process.kill(pid, 'SIGKILL')
    await until('the child is ended', 5000, () => !runs(first))
    await untilOtherRun(tree, 'gpu-service', pid)
    const second = await until('its next child runs', 5000, () => (pidIn(file) === first ? 0 : pidIn(file)))
    assert.match(
      readFileSync(`${tree.plan.paths.logs}/gpu-service/current`, 'utf8'),
      new RegExp(`ends process ${first}, which its last run left behind`),
    )
    svc(tree, '-d', 'gpu-service')
    await until('the next child is ended', 5000, () => !runs(second))
    assert.ok(runs(other), 'what another service started is left alone')
  })
})

test('a child is ended also where the supervisor was killed and no finish ran', async () => {
  const file = `${temporaryDirectory()}/child`
  await withMachine([{ name: 'gpu-service', gpu: 0, command: leaver(file) }], async (tree) => {
    const { pid } = await untilState(tree, 'gpu-service', 'ready')
    const first = await until('its child runs', 5000, () => pidIn(file))
    process.kill(Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[3]), 'SIGKILL')
    process.kill(pid, 'SIGKILL')
    const { restarts } = await untilOtherRun(tree, 'gpu-service', pid)
    assert.not(runs(first))
    assert.is(restarts, 1, 'nobody saw that death, and it counts')
  })
})

test('a supervise directory that vanishes is told, and watched again when it is back', async () => {
  await withMachine([{ name: 'app', http: true, restart: budget(9) }], async (tree) => {
    const { pid } = await untilState(tree, 'app', 'ready')
    const supervisor = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[3])
    rmSync(`${tree.plan.paths.services}/app/supervise`, { recursive: true })
    const gone = await untilState(tree, 'app', 'down', 2000)
    assert.is(gone.reason, 'no supervisor looks after it')
    process.kill(supervisor, 'SIGKILL')
    const back = await untilOtherRun(tree, 'app', pid)
    await new Promise((resolve) => setTimeout(resolve, 1100))
    const diedMs = performance.now()
    process.kill(back.pid, 'SIGKILL')
    await until('its gate is closed', 2000, () => !existsSync(`${tree.plan.paths.gates}/app`))
    assert.ok(performance.now() - diedMs < 500, 'the new directory is watched')
    await untilOtherRun(tree, 'app', back.pid)
  })
})

test('a service that is stopped by SIGHUP is not blamed for it', async () => {
  const program = ['sh', '-c', 'exec sleep 1000']
  const polite: Draft = {
    name: 'polite',
    command: program,
    stop: { signal: 'SIGHUP', timeoutMs: 3000 },
    restart: budget(2),
  }
  await withMachine([polite], async (tree) => {
    let { pid } = await untilState(tree, 'polite', 'ready')
    for (let restarts = 0; restarts < 3; restarts += 1) {
      svc(tree, '-r', 'polite')
      ;({ pid } = await untilOtherRun(tree, 'polite', pid))
    }
    assert.is((await service(tree, 'polite')).restarts, 3)
  })
})

test.run()
