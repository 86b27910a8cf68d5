/**
 * Random kills over many services and the sidecar: afterwards all are ready, every death is counted once, and nothing has
 * leaked. STORM_SECONDS: how long it lasts; a minute brings 500 kills.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeStatus } from '../../runtime/shared/supervise-status.ts'
import type { KeptService } from '../../runtime/sidecar/state/kept-state.ts'
import { plannedService, until } from '../runtime/local-tree.ts'
import { type MachineTree, supervise, untilState, writeMachine } from '../runtime/supervised-machine.ts'

const SERVICES = 25
const STORM_MS = Number(process.env.STORM_SECONDS ?? 12) * 1000
const KILL_EVERY_MS = 115

const names = Array.from({ length: SERVICES }, (_, index) => `service-${index}`)

/** The program of a service, once its `run` has become it; 0 before that. */
function programOf({ plan }: MachineTree, name: string): number {
  const status = decodeStatus(readFileSync(`${plan.paths.services}/${name}/supervise/status`))
  if (status === null || !status.up) return 0
  try {
    return readFileSync(`/proc/${status.pid}/cmdline`, 'utf8').startsWith('sleep\0') ? status.pid : 0
  } catch {
    return 0
  }
}

const kept = ({ plan }: MachineTree, name: string) =>
  (JSON.parse(readFileSync(`${plan.paths.run}/sidecar/services/${name}.json`, 'utf8')) as KeptService).record

/** Processes of the machine, by their mark. */
function marked({ plan }: MachineTree): number {
  const mark = `MACHINEGEN_SERVICE=${plan.paths.run}:`
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && environmentOf(pid).includes(mark)).length
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    return ''
  }
}

/** What a process holds open, by kind. */
function openFiles(pid: number): Record<string, number> {
  const kinds: Record<string, number> = {}
  for (const file of readdirSync(`/proc/${pid}/fd`)) {
    const path = `/proc/${pid}/fd/${file}`
    const kind = existsSync(path) ? readlinkSync(path).replace(/[:[\d].*/, '') : 'gone'
    kinds[kind] = (kinds[kind] ?? 0) + 1
  }
  return kinds
}

test('after a storm of kills all is ready, counted and clean', async () => {
  const patient = { maxAttempts: 1000, windowMs: 600_000, backoff: { initialMs: 0, maxMs: 0, factor: 1 } }
  const tree = await writeMachine(names.map((name) => plannedService({ name, restart: patient })))
  const { stop } = await supervise(tree)
  try {
    for (const name of names) await untilState(tree, name, 'ready', 30_000)
    const processes = marked(tree)
    const kills = new Map(names.map((name) => [name, 0]))
    const killed = new Set<number>()
    const endMs = Date.now() + STORM_MS
    let sidecarKills = 0
    while (Date.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, KILL_EVERY_MS * Math.random() * 2))
      if (Math.random() < 0.03) {
        const status = decodeStatus(readFileSync(`${tree.plan.paths.services}/sidecar/supervise/status`))
        if (status?.up) {
          process.kill(status.pid, 'SIGKILL')
          sidecarKills += 1
        }
        continue
      }
      const name = names[Math.floor(Math.random() * names.length)]!
      const pid = programOf(tree, name)
      if (pid === 0 || killed.has(pid)) continue
      process.kill(pid, 'SIGKILL')
      killed.add(pid)
      kills.set(name, kills.get(name)! + 1)
    }
    for (const name of names) await untilState(tree, name, 'ready', 30_000)
    await until('the last is written', 5000, () => names.every((name) => kept(tree, name).state === 'ready'))
    const wrong = names
      .map((name) => ({ name, killed: kills.get(name), counted: kept(tree, name).history.restarts }))
      .filter((each) => each.killed !== each.counted)
    assert.equal(wrong, [], `${killed.size} kills, ${sidecarKills} of the sidecar`)
    assert.is((await tree.ask('/health')).status, 200)
    await until('no process is left over', 5000, () => marked(tree) === processes)
    const { pid } = (await tree.ask('/services/sidecar')).body
    const files = openFiles(pid)
    assert.ok(Object.values(files).reduce((sum, count) => sum + count, 0) < 60, JSON.stringify(files))
  } finally {
    await stop()
  }
})

test.run()
