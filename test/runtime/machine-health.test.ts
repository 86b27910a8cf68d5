import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type MachineHealth, machineHealth } from '../../runtime/sidecar/health.ts'
import { bidFarewell, type MachineState } from '../../runtime/sidecar/machine-state.ts'
import { plannedService } from './local-tree.ts'
import { exits, OK, running, seen, story } from './machine-records.ts'

const app = plannedService({ name: 'app' })
const extra = plannedService({ name: 'extra', optional: true })
const job = plannedService({ name: 'job', kind: 'task', probe: { kind: 'task' } })
const check = plannedService({ name: 'check', kind: 'task', probe: { kind: 'task' }, optional: true })
const nginx = plannedService({ name: 'nginx', type: 'nginx' })
const gpus = [0, 1].map((gpu) => plannedService({ name: `comfyui-gpu${gpu}`, type: 'comfyui', gpu }))
const workers = [0, 1].map((gpu) =>
  plannedService({
    name: `worker-${gpu}`,
    type: 'redis-worker',
    gpu,
    workerId: `m-worker-${gpu}`,
    waitsFor: [`comfyui-gpu${gpu}`],
  }),
)

type Teller = ReturnType<typeof story>
const ready = (it: Teller, ...names: string[]) => {
  for (const [index, name] of names.entries()) it.see(name, running(5 + index, 0), 10).probe(name, OK, 20)
  return it
}

const boot = { id: 'b', startedAtMs: 0, readyAtMs: null, readyAfterMs: null, endedAtMs: null, ended: null } as const
const inBoot = (it: Teller, readyAtMs: number | null): MachineState => ({
  ...it.machine(),
  boots: [{ ...boot, readyAtMs }],
})

const TABLE: {
  title: string
  services: Parameters<typeof story>[0]
  steps: (it: Teller) => Teller
  wasReady?: boolean
  expected: Partial<MachineHealth>
}[] = [
  {
    title: 'all is ready or done',
    services: [app, job],
    steps: (it) => ready(it, 'app').see('job', seen({ wantUp: false }, { gateOpenedAtMs: 5, deaths: exits(1) }), 30),
    expected: { healthy: true, ready: true, phase: 'ready', degraded: [], unhealthy: [] },
  },
  {
    title: 'an optional task is at its work',
    services: [app, check],
    steps: (it) => ready(it, 'app').see('check', running(9, 0), 30),
    wasReady: true,
    expected: { healthy: true, phase: 'ready', degraded: [], unhealthy: [] },
  },
  {
    title: 'an optional task has failed and tries again',
    services: [app, check],
    steps: (it) => ready(it, 'app').see('check', running(9, 50, { deaths: exits(1) }), 2000),
    wasReady: true,
    expected: { healthy: true, phase: 'degraded', degraded: [{ service: 'check', reason: 'starting' }] },
  },
  {
    title: 'it starts',
    services: [app, job],
    steps: (it) => ready(it, 'app').see('job', running(9, 0), 30),
    expected: { healthy: false, phase: 'starting', unhealthy: [{ service: 'job', reason: 'starting' }] },
  },
  {
    title: 'one was given up before all was ready',
    services: [app, job],
    steps: (it) => it.see('app', seen({ wantUp: false }, { givenUp: 'why' }), 30),
    expected: { healthy: false, phase: 'unhealthy' },
  },
  {
    title: 'one died after all was ready',
    services: [app],
    steps: (it) => ready(it, 'app').see('app', seen({}, { deaths: exits(1) }), 30),
    wasReady: true,
    expected: {
      healthy: false,
      ready: false,
      phase: 'unhealthy',
      unhealthy: [{ service: 'app', reason: 'waiting: s6 starts it again after exit code 1' }],
    },
  },
  {
    title: 'an optional one was given up',
    services: [app, extra],
    steps: (it) => ready(it, 'app').see('extra', seen({ wantUp: false }, { givenUp: 'why' }), 30),
    expected: {
      healthy: true,
      ready: true,
      phase: 'degraded',
      degraded: [{ service: 'extra', reason: 'failed: why' }],
    },
  },
  {
    title: 'an operator stopped one',
    services: [app, extra],
    steps: (it) => ready(it, 'app', 'extra').see('app', seen({ wantUp: false }, { deaths: exits(1) }), 30),
    expected: { healthy: true, phase: 'ready', stopped: ['app'], unhealthy: [] },
  },
  {
    title: 'a boot has not come to one yet',
    services: [app],
    steps: (it) => it.see('app', seen({ wantUp: false }), 30),
    expected: { healthy: false, phase: 'starting', stopped: [] },
  },
  {
    title: 'one of two workers takes jobs',
    services: [...gpus, ...workers],
    steps: (it) => ready(it, 'comfyui-gpu0', 'worker-0'),
    expected: { healthy: false, ready: true, phase: 'starting' },
  },
  {
    title: 'a worker without its ComfyUI takes none',
    services: [...gpus, ...workers],
    steps: (it) => ready(it, 'comfyui-gpu1', 'worker-0'),
    expected: { ready: false },
  },
  {
    title: 'without workers jobs come through the proxy',
    services: [nginx, ...gpus],
    steps: (it) => ready(it, 'comfyui-gpu1', 'nginx'),
    expected: { healthy: false, ready: true },
  },
  {
    title: 'and not while it is down',
    services: [nginx, ...gpus],
    steps: (it) => ready(it, 'comfyui-gpu0', 'comfyui-gpu1'),
    expected: { ready: false },
  },
]

for (const { title, services, steps, wasReady = false, expected } of TABLE) {
  test(`health: ${title}`, () => {
    const health = machineHealth(inBoot(steps(story(services)), wasReady ? 20 : null), 100)
    for (const [key, value] of Object.entries(expected)) assert.equal(health[key as keyof MachineHealth], value, key)
  })
}

test('after the farewell it is neither healthy nor ready, and the boot has ended well', () => {
  const machine = bidFarewell(inBoot(ready(story([app]), 'app'), 20), 500)
  const { healthy, ready: takesJobs, phase } = machineHealth(machine, 600)
  assert.equal([healthy, takesJobs, phase], [false, false, 'stopping'])
  assert.equal([machine.boots[0]?.ended, machine.boots[0]?.endedAtMs], ['graceful', 500])
})

test.run()
