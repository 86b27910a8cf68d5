/**
 * Random kills of 25 services and their sidecar under real supervisors. KILL_STORM_SEED repeats a run, as far as processes let
 * themselves be repeated; KILL_STORM_KILLS: how many, 500 by default.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { decodeDeathTally } from '../../runtime/shared/death-tally.ts'
import { decodeStatus } from '../../runtime/shared/supervise-status.ts'
import { until } from '../runtime/local-tree.ts'
import { type Draft, type Json, type MachineTree, supervise, writeMachine } from '../runtime/supervised-machine.ts'

const KILLS = Number(process.env.KILL_STORM_KILLS ?? 500)
const SEED = Number(process.env.KILL_STORM_SEED ?? Date.now() % 1_000_000)
/** 500 kills are a minute of them. */
const PAUSE_MS = 110
const SIGNALS = ['SIGKILL', 'SIGTERM', 'SIGSEGV'] as const
/** The sidecar is one of 27, and each of its deaths costs a second: it is hit this often. */
const SIDECAR_SHARE = 0.05
/** Then one sidecar lives to the end, and shows whether it holds on to what it needs no more. */
const SIDECAR_SPARED = 0.4

/** A server that starts in a few milliseconds: two cores start ten of them a second. */
const LIGHT_SERVER = [
  'socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);',
  'bind(S, sockaddr_in($ENV{PORT}, INADDR_LOOPBACK)) or die "bind: $!"; listen(S, 64);',
  'while (accept(C, S)) { sysread(C, $q, 4096);',
  'syswrite(C, "HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\nconnection: close\\r\\n\\r\\nok"); close C }',
].join(' ')

const restart = { maxAttempts: 1000, windowMs: 60_000, backoff: { initialMs: 0, maxMs: 0, factor: 1 } }
// A loaded host makes probes late; that must not be taken for a fault.
const liveness = { intervalMs: 1000, timeoutMs: 5000, failures: 10 }
const common = { restart, liveness, startupTimeoutMs: 60_000 }
const light = (name: string, more: Partial<Draft> = {}): Draft => ({
  name,
  http: true,
  command: ['perl', '-MSocket', '-e', LIGHT_SERVER],
  ...common,
  ...more,
})

/** 20 that are independent, three that follow one of them through its restarts, two that are only to run. */
const DRAFTS: readonly Draft[] = [
  ...Array.from({ length: 19 }, (_, index) => light(`web-${index}`)),
  { name: 'heavy', http: true, ...common },
  ...[0, 1, 2].map((index) =>
    light(`follower-${index}`, {
      waitsFor: ['web-0'],
      stopsBefore: ['web-0', 'sidecar'],
      onDependencyRestart: 'restart',
    }),
  ),
  ...[0, 1].map((index): Draft => ({ name: `quiet-${index}`, ...common })),
]
const FOLLOWERS = new Set(['follower-0', 'follower-1', 'follower-2'])

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const readIfThere = (path: string): Buffer => {
  try {
    return readFileSync(path)
  } catch {
    return Buffer.alloc(0)
  }
}

/** What the supervisor says itself: no sidecar between. */
function pidOf({ plan }: MachineTree, name: string): number {
  const status = decodeStatus(readIfThere(`${plan.paths.services}/${name}/supervise/status`))
  return status?.up ? status.pid : 0
}

const deathsOf = ({ plan }: MachineTree, name: string) =>
  decodeDeathTally(readIfThere(`${plan.paths.services}/${name}/supervise/death_tally`))

interface Storm {
  readonly kills: ReadonlyMap<string, number>
  readonly seconds: number
}

/** Kills and kills. Each run of a service is hit once, and only while it runs: so every kill is a death. */
async function rage(tree: MachineTree, random: () => number): Promise<Storm> {
  const names = tree.plan.services.map(({ name }) => name).filter((name) => name !== 'sidecar')
  const [hit, kills] = [new Map<string, number>(), new Map<string, number>()]
  const startedMs = performance.now()
  for (let done = 0; done < KILLS; ) {
    const mayHitSidecar = done < KILLS * (1 - SIDECAR_SPARED)
    const name = mayHitSidecar && random() < SIDECAR_SHARE ? 'sidecar' : names[Math.floor(random() * names.length)]!
    const signal = SIGNALS[Math.floor(random() * SIGNALS.length)]!
    const pid = pidOf(tree, name)
    if (pid !== 0 && pid !== hit.get(name) && isThere(pid)) {
      process.kill(pid, signal)
      hit.set(name, pid)
      kills.set(name, (kills.get(name) ?? 0) + 1)
      done += 1
    }
    await pause(PAUSE_MS * 2 * random())
  }
  return { kills, seconds: (performance.now() - startedMs) / 1000 }
}

/** It runs: neither gone nor dead and waiting for its parent. */
function isThere(pid: number): boolean {
  const stat = readIfThere(`/proc/${pid}/stat`).toString('latin1')
  return stat !== '' && !/\) [ZX] /.test(stat.slice(stat.lastIndexOf(')')))
}

async function services({ ask }: MachineTree): Promise<readonly Json[]> {
  const { body } = await ask('/services', { headers: { connection: 'close' } })
  return Object.values(body.services ?? body)
}

async function untilAllReady(tree: MachineTree, timeoutMs: number): Promise<void> {
  let last: readonly Json[] = []
  try {
    await until('all services are ready', timeoutMs, async () => {
      last = await services(tree).catch(() => [])
      return last.length === tree.plan.services.length && last.every(({ state }) => state === 'ready')
    })
  } catch (error) {
    const late = last.filter(({ state }) => state !== 'ready')
    throw new Error(`not ready: ${JSON.stringify(late)}`, { cause: error })
  }
}

interface Held {
  /** What it holds open, by kind: "socket", "anon_inode:inotify", paths of files. */
  readonly open: Readonly<Record<string, number>>
  readonly watches: number
}

/** What a process holds, as the kernel says it. */
function heldBy(pid: number): Held {
  const open: Record<string, number> = {}
  let watches = 0
  for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const kind = readlinkSync(`/proc/${pid}/fd/${descriptor}`).replace(/:?\[\d+\]$/, '')
      open[kind] = (open[kind] ?? 0) + 1
      if (kind !== 'anon_inode:inotify') continue
      watches += readIfThere(`/proc/${pid}/fdinfo/${descriptor}`).toString().split('\ninotify ').length - 1
    } catch {
      // It was closed meanwhile.
    }
  }
  return { open, watches }
}

/** The least that a process holds in some moments: a probe under way opens a socket, an append opens a file. */
async function heldAtRest(pid: number): Promise<Held> {
  const seen: Held[] = []
  for (let round = 0; round < 40; round += 1) {
    seen.push(heldBy(pid))
    await pause(50)
  }
  const total = ({ open }: Held) => Object.values(open).reduce((sum, count) => sum + count, 0)
  return seen.reduce((least, held) => (total(held) < total(least) ? held : least))
}

/** How often it waits for something, a second: every timer that goes on for ever makes it more. */
async function wakesPerSecond(pid: number): Promise<number> {
  const wakes = () =>
    Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readIfThere(`/proc/${pid}/status`).toString())?.[1])
  const before = wakes()
  await pause(8000)
  return (wakes() - before) / 8
}

interface Process {
  readonly pid: number
  readonly parent: number
  readonly command: string
}

function processes(): readonly Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const stat = readIfThere(`/proc/${pid}/stat`).toString('latin1')
      if (stat === '') return []
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      return [
        { pid: Number(pid), parent, command: readIfThere(`/proc/${pid}/cmdline`).toString().replaceAll('\0', ' ') },
      ]
    })
}

function descendants(root: number, all = processes()): readonly Process[] {
  return all.filter(({ parent }) => parent === root).flatMap((child) => [child, ...descendants(child.pid, all)])
}

/** Processes that services of this machine started, wherever they are now. */
function marked({ plan }: MachineTree): readonly Process[] {
  const mark = `MACHINEGEN_SERVICE=${plan.paths.run}:`
  return processes().filter(({ pid }) =>
    readIfThere(`/proc/${pid}/environ`)
      .toString('latin1')
      .split('\0')
      .some((text) => text.startsWith(mark)),
  )
}

interface Rest {
  readonly held: Held
  readonly wakes: number
  readonly family: readonly string[]
}

/** What the sidecar holds and does, and which processes there are, while nothing happens. */
async function atRest(tree: MachineTree, svscan: number): Promise<Rest> {
  const sidecar = pidOf(tree, 'sidecar')
  // What is written a while after a change, is written.
  await pause(3000)
  const wakes = await wakesPerSecond(sidecar)
  const family = descendants(svscan).map(({ command }) => command)
  return { held: await heldAtRest(sidecar), wakes, family: family.sort() }
}

/** Three records of each death: this program's, the supervisor's and the sidecar's. */
async function checkCounts(tree: MachineTree, kills: ReadonlyMap<string, number>): Promise<void> {
  const seen = await services(tree)
  const counts = seen.map(({ name, restarts }) => [name, deathsOf(tree, name).length, restarts, kills.get(name) ?? 0])
  const told = JSON.stringify(counts)
  for (const [name, deaths, restarts, killed] of counts) {
    assert.is(restarts, deaths, `"${name}": the sidecar counted ${restarts} of ${deaths} deaths: ${told}`)
    if (FOLLOWERS.has(name)) assert.ok(deaths >= killed, `"${name}": ${deaths} deaths of ${killed} kills`)
    else assert.is(deaths, killed, `"${name}": ${deaths} deaths of ${killed} kills: ${told}`)
  }
}

/** Nothing has gathered in the sidecar, and beside it. */
function checkRemains(tree: MachineTree, before: Rest, after: Rest): void {
  console.log(`kill storm: ${before.wakes} wakes/s before, ${after.wakes} after; ${JSON.stringify(after.held)}`)
  assert.equal(after.family, before.family, 'the same processes run as before')
  const strangers = marked(tree).filter(({ command }) => !after.family.includes(command))
  assert.equal(strangers, [], 'no process outside of the tree')
  assert.equal(after.held, before.held, 'files, connections and watches')
  assert.ok(after.wakes < before.wakes * 1.5 + 5, `${before.wakes} wakes/s before, ${after.wakes} after`)
}

test(`${KILLS} random kills: all is ready again, each is counted once, and nothing is left over (seed ${SEED})`, async () => {
  console.log(`kill storm: KILL_STORM_SEED=${SEED}`)
  const tree = await writeMachine(DRAFTS)
  const { svscan, stop } = await supervise(tree)
  try {
    await untilAllReady(tree, 60_000)
    const before = await atRest(tree, svscan.pid!)
    const { kills, seconds } = await rage(tree, randomFrom(SEED))
    console.log(`kill storm: ${KILLS} kills in ${seconds.toFixed(0)} s, ${kills.get('sidecar') ?? 0} of the sidecar`)
    await untilAllReady(tree, 60_000)
    await checkCounts(tree, kills)
    checkRemains(tree, before, await atRest(tree, svscan.pid!))
  } finally {
    await stop()
  }
  assert.equal(marked(tree), [], 'nothing outlives the machine')
})

test.run()
