/** What the sidecar knows outlives its own death and the machine's, under real supervisors. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { KeptHistory, KeptService } from '../../runtime/sidecar/state/kept-state.ts'
import { until } from './local-tree.ts'
import { type Draft, type Json, type MachineTree, supervise, untilState, writeMachine } from './supervised-machine.ts'

const patient = { maxAttempts: 100, windowMs: 60_000, backoff: { initialMs: 0, maxMs: 0, factor: 1 } }
const web = (name: string, more: Partial<Draft> = {}): Draft => ({ name, http: true, restart: patient, ...more })

const svc = ({ plan }: MachineTree, orders: string, name: string) =>
  execFileSync('s6-svc', [orders, `${plan.paths.services}/${name}`])

const kept = ({ plan }: MachineTree, name: string): KeptService['record'] =>
  (JSON.parse(readFileSync(`${plan.paths.run}/sidecar/services/${name}.json`, 'utf8')) as KeptService).record

const history = ({ plan }: MachineTree): KeptHistory =>
  JSON.parse(readFileSync(`${plan.paths.state}/sidecar/history.json`, 'utf8'))

const service = async ({ ask }: MachineTree, name: string): Promise<Json> => (await ask(`/services/${name}`)).body

/** Kills the process of a service, and waits until another one runs. */
async function killOnce(tree: MachineTree, name: string): Promise<void> {
  const pid = pidOf(tree, name)
  process.kill(pid, 'SIGKILL')
  await until(`another "${name}" runs`, 15_000, () => ![0, pid].includes(pidOf(tree, name)))
}

function pidOf({ plan }: MachineTree, name: string): number {
  const [pid, up] = execFileSync('s6-svstat', ['-o', 'pid,up', `${plan.paths.services}/${name}`], { encoding: 'utf8' })
    .trim()
    .split(' ')
  return up === 'true' ? Number(pid) : 0
}

async function duringBoot(tree: MachineTree, use: () => Promise<void>): Promise<void> {
  const { stop } = await supervise(tree)
  try {
    await use()
  } finally {
    await stop()
  }
}

async function untilSidecarIsBack(tree: MachineTree, formerPid: number): Promise<void> {
  await until('another sidecar answers', 15_000, async () => {
    const body = await service(tree, 'sidecar').catch(() => null)
    return body?.state === 'ready' && body.pid !== formerPid
  })
}

test('a sidecar that is killed at any moment comes back within its time and has counted every death', async () => {
  const names = ['a', 'b', 'c']
  const tree = await writeMachine(names.map((name) => web(name)))
  await duringBoot(tree, async () => {
    for (const name of names) await untilState(tree, name, 'ready')
    const kills = { a: 0, b: 0, c: 0 }
    for (let round = 0; round < 6; round += 1) {
      const name = (['a', 'b', 'c'] as const)[round % 3]!
      const sidecar = pidOf(tree, 'sidecar')
      const delayMs = Math.random() * 60
      const killed = killOnce(tree, name)
      await new Promise((resolve) => setTimeout(resolve, delayMs))
      process.kill(sidecar, 'SIGKILL')
      const diedMs = performance.now()
      await until('it answers again', 10_000, () => tree.ask('/version').catch(() => null))
      const awayMs = performance.now() - diedMs
      assert.ok(awayMs < 4000, `away for ${awayMs} ms, killed after ${delayMs} ms`)
      await killed
      await untilSidecarIsBack(tree, sidecar)
      kills[name] += 1
    }
    for (const name of names) {
      await untilState(tree, name, 'ready')
      assert.is((await service(tree, name)).restarts, kills[name as 'a'], name)
      assert.is(kept(tree, name).history.exits.signal, kills[name as 'a'], name)
    }
    const files = readdirSync(`${tree.plan.paths.run}/sidecar/services`)
    assert.ok(
      files.every((file) => file.endsWith('.json')),
      files.join(),
    )
  })
})

test('deaths while no sidecar runs are counted, readiness and start-up times are known at once', async () => {
  const tree = await writeMachine([web('steady', { delayMs: 300 }), web('shaky')])
  await duringBoot(tree, async () => {
    const steady = await untilState(tree, 'steady', 'ready')
    await untilState(tree, 'shaky', 'ready')
    const { startupsMs } = kept(tree, 'steady').history
    svc(tree, '-d', 'sidecar')
    await until('the sidecar is down', 10_000, () => pidOf(tree, 'sidecar') === 0)
    for (let kill = 0; kill < 4; kill += 1) await killOnce(tree, 'shaky')
    svc(tree, '-u', 'sidecar')
    await untilState(tree, 'sidecar', 'ready')
    const now = await untilState(tree, 'steady', 'ready')
    assert.equal([now.pid, now.startupMs, now.readyAt], [steady.pid, steady.startupMs, steady.readyAt])
    assert.equal(kept(tree, 'steady').history.startupsMs, startupsMs)
    assert.is((await untilState(tree, 'shaky', 'ready')).restarts, 4)
    assert.equal(
      kept(tree, 'shaky').history.lastExits.map(({ text }) => text),
      Array(4).fill('signal SIGKILL'),
    )
  })
})

test('restarts outlive the machine, and each boot is remembered with how it ended', async () => {
  const tree = await writeMachine([web('app')])
  await duringBoot(tree, async () => {
    await untilState(tree, 'app', 'ready')
    await killOnce(tree, 'app')
    await untilState(tree, 'app', 'ready')
    await until('the volume has it', 5000, () => history(tree).services.app?.restarts === 1)
  })
  await duringBoot(tree, async () => {
    await untilState(tree, 'app', 'ready')
    assert.is((await service(tree, 'app')).restarts, 1)
    await killOnce(tree, 'app')
    await untilState(tree, 'app', 'ready')
    assert.is((await service(tree, 'app')).restarts, 2)
    svc(tree, '-1', 'sidecar')
    await until('it knows of the end', 5000, () => history(tree).boots.at(-1)?.ended === 'graceful')
  })
  await duringBoot(tree, async () => {
    await untilState(tree, 'app', 'ready')
    await until('the third boot is ready', 10_000, () => history(tree).boots[2]?.readyAtMs)
  })
  const { boots, services } = history(tree)
  assert.equal(
    boots.map(({ ended }) => ended),
    ['crash', 'graceful', null],
  )
  for (const { readyAfterMs, startedAtMs, readyAtMs } of boots) {
    assert.ok(readyAfterMs !== null && readyAfterMs > 0 && readyAfterMs < 30_000, `${readyAfterMs} ms`)
    assert.is(Math.round(readyAtMs! - startedAtMs), readyAfterMs)
  }
  assert.is(new Set(boots.map(({ id }) => id)).size, 3)
  assert.is(services.app?.restarts, 2)
})

test('what an operator stopped directly stays stopped and is no fault, whoever watches', async () => {
  const tree = await writeMachine([web('app'), web('other')])
  await duringBoot(tree, async () => {
    await untilState(tree, 'app', 'ready')
    await untilState(tree, 'other', 'ready')
    svc(tree, '-d', 'app')
    const stopped = await untilState(tree, 'app', 'down')
    assert.is(stopped.reason, 'stopped by an order to its supervisor')
    const sidecar = pidOf(tree, 'sidecar')
    process.kill(sidecar, 'SIGKILL')
    await untilSidecarIsBack(tree, sidecar)
    assert.is((await untilState(tree, 'app', 'down')).reason, 'stopped by an order to its supervisor')
    assert.is((await tree.ask('/health')).status, 200)
    assert.is(kept(tree, 'app').history.exits.operator, 1)
    svc(tree, '-u', 'app')
    await untilState(tree, 'app', 'ready')
    assert.is((await service(tree, 'app')).restarts, 1)
  })
})

test.run()
