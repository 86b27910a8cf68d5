import { existsSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { guardGpuMemory, heldFile, holdersOf } from '../../runtime/sidecar/gpu-memory.ts'
import type { Log } from '../../runtime/sidecar/log.ts'
import type { Follower } from '../../runtime/sidecar/machine-keeper.ts'
import type { GpuProcess } from '../../runtime/sidecar/resources/parse-nvidia-smi.ts'
import type { ResourceSnapshot } from '../../runtime/sidecar/resources/resource-snapshot.ts'
import type { PlannedGpu } from '../../schema/plan.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { localPlan, plannedService, until } from './local-tree.ts'
import { exits, running, seen, story } from './machine-records.ts'

const UUID = 'GPU-0'
const app = plannedService({ name: 'app', gpu: 0 })
const on = (pid: number, gpuUuid = UUID): GpuProcess => ({ pid, gpuUuid, usedBytes: 1 })

const MARKS: Readonly<Record<number, string | null>> = { 1: 'app', 2: 'other', 3: null }
const markOf = (pid: number) => MARKS[pid]

const TABLE: { title: string; processes: GpuProcess[]; isAlone?: boolean; marked: number[]; unknown: number[] }[] = [
  { title: 'nothing', processes: [], marked: [], unknown: [] },
  { title: 'its own, not those of others', processes: [on(1), on(2), on(3)], marked: [1], unknown: [] },
  { title: 'not its own on another GPU', processes: [on(1, 'GPU-1')], marked: [], unknown: [] },
  { title: 'what cannot be seen, where it is alone', processes: [on(77)], marked: [], unknown: [77] },
  { title: 'not what cannot be seen beside others', processes: [on(77)], isAlone: false, marked: [], unknown: [] },
]

for (const { title, processes, isAlone = true, marked, unknown } of TABLE) {
  test(`what the last run left on a GPU: ${title}`, () => {
    assert.equal(holdersOf(app, processes, { uuid: UUID, isAlone, markOf }), { marked, unknown })
  })
}

const GPU: PlannedGpu = { index: 0, device: '0', memoryBytes: 1, memoryGB: 1, model: 'H100', mock: false }

/** A service that dies on a GPU whose processes are told by `processes`. */
function death(processes: () => readonly GpuProcess[] | null, { mock = false, longestMs = 5000 } = {}) {
  const plan = { ...localPlan(temporaryDirectory(), [app]), gpus: [{ ...GPU, mock }] }
  const warnings: string[] = []
  const log: Log = {
    info: () => {},
    warn: (_: unknown, text?: string) => warnings.push(text ?? ''),
    error: () => {},
    flush: () => {},
  }
  const it = story([app]).see('app', running(5, 0), 10)
  let tell: Follower = () => {}
  const follow = (follower: Follower) => {
    tell = follower
    return () => {}
  }
  const snapshot = () => ({ gpus: [{ index: 0, uuid: UUID }] }) as unknown as ResourceSnapshot
  const resources = { snapshot, gpuProcesses: async () => processes() }
  const close = guardGpuMemory({ plan, loop: { machine: it.machine, follow }, resources, log, longestMs })
  const before = it.record('app')
  it.see('app', seen({}, { deaths: exits(1, 50) }), 60)
  tell({ kind: 'service', before, after: it.record('app') })
  const isHeld = () => existsSync(heldFile(plan.paths, 'app'))
  return { isHeld, warnings, close }
}

test('a service is held back until its GPU is free', async () => {
  let left = [on(4_000_000)]
  const { isHeld, warnings, close } = death(() => left)
  assert.ok(isHeld(), 'at once: s6 starts it again within a second')
  await new Promise((resolve) => setTimeout(resolve, 700))
  assert.ok(isHeld())
  left = []
  await until('it is let go', 3000, () => !isHeld())
  assert.equal(warnings, [])
  close()
})

test('it is let go after a while all the same, with a warning', async () => {
  const { isHeld, warnings, close } = death(() => [on(4_000_000)], { longestMs: 500 })
  await until('it is let go', 3000, () => !isHeld())
  assert.equal(warnings, ['"app" starts although its last run still holds memory of GPU 0'])
  close()
})

test('where nobody can tell, nobody waits', async () => {
  const { isHeld, close } = death(() => null)
  await until('it is let go', 1000, () => !isHeld())
  close()
})

test('a simulated GPU holds nobody back', () => {
  const { isHeld, close } = death(() => [on(4_000_000)], { mock: true })
  assert.not(isHeld())
  close()
})

test.run()
