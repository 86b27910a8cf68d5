import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openCgroup } from '../../runtime/sidecar/resources/cgroup.ts'
import { createDiskReader } from '../../runtime/sidecar/resources/disks.ts'
import { openXidCounter } from '../../runtime/sidecar/resources/kernel-log.ts'
import { type ResourceMonitor, startResourceMonitor } from '../../runtime/sidecar/resources/resource-monitor.ts'
import type { ResourceSnapshot } from '../../runtime/sidecar/resources/resource-snapshot.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { until } from './local-tree.ts'

/** Files of a `/sys/fs/cgroup` and a `/proc`, and what is read from them on a host with eight cores. */
function cgroupOf(files: Record<string, string>) {
  const root = temporaryDirectory()
  for (const [path, text] of Object.entries({ ...HOST, ...files })) {
    mkdirSync(dirname(`${root}/${path}`), { recursive: true })
    writeFileSync(`${root}/${path}`, `${text}\n`)
  }
  return openCgroup({ cgroup: `${root}/cgroup`, proc: `${root}/proc`, cores: 8 })
}

const GIB = 1024 ** 3
const HOST = {
  'proc/meminfo': `MemTotal:       ${64 * 1024 ** 2} kB\nMemFree: 10 kB\nMemAvailable:   ${48 * 1024 ** 2} kB`,
  'proc/stat': 'cpu  1000 200 300 99999 55 10 20 0 0 0\ncpu0 1 2 3 4',
}
const V2_USAGE = {
  'cgroup/cgroup.controllers': 'cpu memory',
  'proc/self/cgroup': '0::/',
  'cgroup/cpu.stat':
    'usage_usec 5000000\nuser_usec 1\nsystem_usec 1\nnr_periods 9\nnr_throttled 3\nthrottled_usec 250000',
  'cgroup/memory.current': String(9 * GIB),
  'cgroup/memory.stat': `anon 1\ninactive_anon 5\ninactive_file ${2 * GIB}\nactive_file 7`,
  'cgroup/memory.events': 'low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0',
}

const LIMITED = { totalBytes: 16 * GIB, usedBytes: 7 * GIB, oomKills: 2 }
const OF_THE_HOST = { totalBytes: 64 * GIB, usedBytes: 16 * GIB }

test('version 2: the quota and the limit of the container', () => {
  const group = cgroupOf({
    ...V2_USAGE,
    'cgroup/cpu.max': '150000 100000',
    'cgroup/memory.max': String(16 * GIB),
  })
  assert.equal(group.cpu(), { cores: 1.5, usedSeconds: 5, throttledSeconds: 0.25 })
  assert.equal(group.memory(), LIMITED)
})

test('version 2 without limits: the cores and the memory of the host, the CPU time of the container', () => {
  const group = cgroupOf({ ...V2_USAGE, 'cgroup/cpu.max': 'max 100000', 'cgroup/memory.max': 'max' })
  assert.equal(group.cpu(), { cores: 8, usedSeconds: 5, throttledSeconds: 0.25 })
  assert.equal(group.memory(), { ...OF_THE_HOST, oomKills: 2 })
})

test('version 2: the tightest limit on the way to the root holds, and its group is what counts', () => {
  const group = cgroupOf({
    ...V2_USAGE,
    'proc/self/cgroup': '0::/kubepods/pod1/box',
    'cgroup/kubepods/pod1/box/cpu.max': 'max 100000',
    'cgroup/kubepods/pod1/box/cpu.stat': 'usage_usec 1000000',
    'cgroup/kubepods/pod1/box/memory.max': 'max',
    'cgroup/kubepods/pod1/box/memory.events': 'oom_kill 5',
    'cgroup/kubepods/pod1/cpu.max': '200000 100000',
    'cgroup/kubepods/pod1/cpu.stat': 'usage_usec 3000000\nthrottled_usec 0',
    'cgroup/kubepods/pod1/memory.max': String(4 * GIB),
    'cgroup/kubepods/pod1/memory.current': String(3 * GIB),
    'cgroup/kubepods/pod1/memory.stat': `inactive_file ${GIB}`,
    'cgroup/kubepods/cpu.max': '400000 100000',
  })
  assert.equal(group.cpu(), { cores: 2, usedSeconds: 3, throttledSeconds: 0 })
  assert.equal(group.memory(), { totalBytes: 4 * GIB, usedBytes: 2 * GIB, oomKills: 5 })
})

test('a group that is named from outside of what is mounted is the mounted one', () => {
  const group = cgroupOf({
    ...V2_USAGE,
    'proc/self/cgroup': '0::/../../init.scope',
    'cgroup/cpu.max': '300000 100000',
    'cgroup/memory.max': String(16 * GIB),
  })
  assert.is(group.cpu().cores, 3)
  assert.equal(group.memory(), LIMITED)
})

const V1 = {
  'proc/self/cgroup': '12:memory:/docker/ab\n11:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab\n0::/docker/ab',
  'cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000',
  'cgroup/cpu,cpuacct/cpuacct.usage': '7000000000',
  'cgroup/cpu,cpuacct/cpu.stat': 'nr_periods 1\nnr_throttled 1\nthrottled_time 1500000000',
  'cgroup/memory/memory.usage_in_bytes': String(9 * GIB),
  'cgroup/memory/memory.stat': `inactive_file 1\ntotal_inactive_file ${2 * GIB}`,
  'cgroup/memory/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2',
}

test('version 1: the quota and the limit of the container', () => {
  const group = cgroupOf({
    ...V1,
    'cgroup/cpu,cpuacct/cpu.cfs_quota_us': '250000',
    'cgroup/memory/memory.limit_in_bytes': String(16 * GIB),
  })
  assert.equal(group.cpu(), { cores: 2.5, usedSeconds: 7, throttledSeconds: 1.5 })
  assert.equal(group.memory(), LIMITED)
})

test('version 1 without limits', () => {
  const group = cgroupOf({
    ...V1,
    'cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1',
    'cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
  })
  assert.equal(group.cpu(), { cores: 8, usedSeconds: 7, throttledSeconds: 1.5 })
  assert.equal(group.memory(), { ...OF_THE_HOST, oomKills: 2 })
})

test('without control groups the host is what there is', () => {
  const group = cgroupOf({})
  assert.equal(group.cpu(), { cores: 8, usedSeconds: 15.3, throttledSeconds: null })
  assert.equal(group.memory(), { ...OF_THE_HOST, oomKills: null })
})

test('this host can be read', () => {
  const group = openCgroup()
  assert.ok(group.cpu().cores > 0)
  const { totalBytes, usedBytes } = group.memory()
  assert.ok(usedBytes > 0 && usedBytes < totalBytes)
})

test('a file system is read once, by the first path on it; a path that does not exist is left out', async () => {
  const directory = temporaryDirectory()
  const read = createDiskReader([directory, '/nonexistent', `${directory}/..`, '/dev/shm'])
  const disks = await read()
  assert.equal(
    disks.map(({ path }) => path),
    [directory, '/dev/shm'],
  )
  for (const { totalBytes, freeBytes } of disks) assert.ok(totalBytes >= freeBytes && freeBytes >= 0)
})

const XID = (seconds: number, bus: string, xid: number) =>
  `4,1290,${seconds * 1e6},-;NVRM: Xid (PCI:${bus}): ${xid}, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n`

test('XID errors are counted by GPU from now on, and lines of others are not', () => {
  const file = `${temporaryDirectory()}/kmsg`
  writeFileSync(file, `6,1,0,-;Linux version 6.1\n SUBSYSTEM=pci\n${XID(50, '0000:3b:00', 31)}`)
  const counter = openXidCounter(file, 100_000)
  counter.poll()
  assert.is(counter.count('0000:3b:00'), 0, 'it happened before')
  appendFileSync(file, XID(101, '0000:3b:00', 79) + XID(102, '0000:AF:00', 43) + XID(103, '0000:3b:00', 45))
  counter.poll()
  assert.is(counter.count('0000:3b:00'), 2)
  assert.is(counter.count('0000:af:00'), 1)
  assert.is(counter.count(null), null)
  counter.close()
  assert.is(openXidCounter('/nonexistent').count('0000:3b:00'), null)
})

/** The snapshot, once it is as wanted. */
const snapshotWhen = (monitor: ResourceMonitor, what: string, isWanted: (snapshot: ResourceSnapshot) => boolean) =>
  until(what, 5000, () => {
    const snapshot = monitor.snapshot()
    return snapshot !== null && isWanted(snapshot) ? snapshot : null
  })

test('a monitor shows simulated GPUs under their load, and goes on by itself', async () => {
  const root = temporaryDirectory()
  let load = 0
  const plan = planFixture({ root })
  const monitor = startResourceMonitor({ plan, intervalMs: 40, gpuIntervalMs: 40, loadOf: () => load })
  const first = await snapshotWhen(monitor, 'the first readings', ({ gpus }) => gpus.length === 2)
  assert.is(first.gpus[0]?.utilization, 0)
  assert.equal(first.missingGpus, [])
  load = 1
  await snapshotWhen(monitor, 'the load', ({ gpus }) => (gpus[1]?.utilization ?? 0) > 0.8)
  const { cpu, disks } = await snapshotWhen(monitor, 'two readings of the CPU', (each) => each.cpu.usedCores !== null)
  assert.ok(cpu.usedCores! >= 0 && cpu.usedCores! <= cpu.cores)
  assert.equal(
    disks.map(({ path }) => path),
    [root],
  )
  monitor.close()
  const last = monitor.snapshot()
  await new Promise((resolve) => setTimeout(resolve, 150))
  assert.is(monitor.snapshot()?.atMs, last?.atMs)
})

test('a driver that hangs holds up nothing but the GPUs', async () => {
  const plan = planFixture({ root: temporaryDirectory() })
  const real = { ...plan, gpus: plan.gpus.map((gpu) => ({ ...gpu, mock: false })) }
  let release = () => {}
  let asked = 0
  const nvidiaSmi = () =>
    new Promise<{ kind: 'none'; problem: string }>((resolve) => {
      asked += 1
      release = () => resolve({ kind: 'none', problem: 'it hangs' })
    })
  const monitor = startResourceMonitor({ plan: real, intervalMs: 40, gpuIntervalMs: 40, nvidiaSmi })
  await until('nvidia-smi is asked', 5000, () => asked > 0)
  assert.is(monitor.snapshot(), null, 'nothing is said before all was read once')
  release()
  const { atMs } = await snapshotWhen(monitor, 'the problem', ({ gpuProblem }) => gpuProblem === 'it hangs')
  await snapshotWhen(monitor, 'the rest goes on while it hangs again', (each) => asked > 1 && each.atMs > atMs)
  monitor.close()
  release()
})

test.run()
