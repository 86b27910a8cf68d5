import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../generator/compile.ts'
import { isQuiet, type ServiceChanges, serviceChanges } from '../../runtime/apply/service-changes.ts'
import type { Plan } from '../../schema/plan.ts'

interface Machine {
  readonly count?: number
  readonly services?: Readonly<Record<string, object>>
}

const SERVICES = { nginx: {}, comfyui: {}, redisWorker: {}, 'my-api': { command: ['node', 'server.js'], port: 7000 } }

function compiled({ count = 1, services = {} }: Machine) {
  const text = JSON.stringify({
    machine: { id: 'm1', gpu: { count } },
    services: { ...SERVICES, ...services },
    redis: { url: '${HUB_REDIS_URL:-}' },
  })
  const { plan, artifacts } = compile({ sources: [{ file: 'machine.json', text }] })
  return { plan: plan as Plan, files: new Map(artifacts.map(({ path, content }) => [path, String(content)])) }
}

/** What changes between two machines, by their plans and by the files that differ. */
function changesOf(before: Machine, after: Machine): ServiceChanges {
  const [old, next] = [compiled(before), compiled(after)]
  const paths = new Set([...old.files.keys(), ...next.files.keys()])
  const changed = [...paths].filter((path) => old.files.get(path) !== next.files.get(path))
  return serviceChanges(old.plan, next.plan, changed)
}

test('the same machine has nothing to do', () => {
  assert.ok(isQuiet(changesOf({}, {})))
})

/** It is told of all GPUs. */
const UNPINNED = [{ service: 'my-api', because: ['environment'] }]

test('a further GPU brings its services, and none that is pinned is restarted', () => {
  const changes = changesOf({}, { count: 2 })
  assert.equal([...changes.added].sort(), ['comfyui-gpu1', 'redis-worker-gpu1'])
  assert.equal(changes.removed, [])
  assert.equal(changes.restarted, UNPINNED)
  assert.ok(changes.reloadsProxy)
  assert.ok(changes.restartsSidecar)
})

test('a GPU less takes its services away', () => {
  const changes = changesOf({ count: 2 }, {})
  assert.equal([...changes.removed].sort(), ['comfyui-gpu1', 'redis-worker-gpu1'])
  assert.equal(changes.restarted, UNPINNED)
})

test('another argument restarts the instances of that service alone', () => {
  const changes = changesOf({ count: 2 }, { count: 2, services: { comfyui: { args: ['--fast'] } } })
  assert.equal(changes.restarted, [
    { service: 'comfyui-gpu0', because: ['command'] },
    { service: 'comfyui-gpu1', because: ['command'] },
  ])
  assert.not.ok(changes.reloadsProxy)
})

test('another budget holds from the next start, another log size restarts the logger', () => {
  const restart = { restart: { maxAttempts: 9 } }
  const changes = changesOf({}, { services: { comfyui: restart, redisWorker: { logs: { maxSize: '1MB' } } } })
  assert.equal(changes.restarted, [])
  assert.equal(changes.later, [{ service: 'comfyui-gpu0', because: ['restart'] }])
  assert.equal(changes.loggers, ['redis-worker-gpu0'])
})

test('a route is a reload of nginx, another port of nginx a restart', () => {
  const routed = changesOf({}, { services: { 'my-api': { ...SERVICES['my-api'], route: '/mine/' } } })
  assert.ok(routed.reloadsProxy)
  assert.equal(routed.restarted, [])
  const moved = changesOf({}, { services: { nginx: { port: 8080 } } })
  assert.equal(moved.restarted, [{ service: 'nginx', because: ['port'] }])
})

test.run()
