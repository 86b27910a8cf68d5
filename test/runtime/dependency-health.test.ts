import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { dependenciesOf, type Surroundings } from '../../runtime/sidecar/workload/dependency-health.ts'
import { knownWorkload } from '../../runtime/sidecar/workload/workload.ts'
import { planFixture } from '../fixtures/plan-fixture.ts'
import { plannedService } from './local-tree.ts'
import { OK, REFUSED, running, seen, story } from './machine-records.ts'

const services = [
  plannedService({ name: 'comfyui-gpu0', type: 'comfyui' }),
  plannedService({ name: 'models', kind: 'task', probe: { kind: 'task' } }),
  plannedService({ name: 'redis-worker-gpu0', type: 'redis-worker', waitsFor: ['comfyui-gpu0', 'models', 'gone'] }),
  plannedService({ name: 'ollama', type: 'ollama' }),
]
const base = planFixture()
const plan = {
  redis: { ...base.redis, urlSecret: 'redis-url' as string | null },
  provisioning: { ...base.provisioning, ollamaModels: ['llama3', 'Qwen:7b', 'hf.co/org/repo'] },
}
const NOTHING: Surroundings = { workloadOf: () => null, redis: null }

const of = (service: string, around: Partial<Surroundings> = {}, it = story(services), file = plan) =>
  dependenciesOf(file, it.machine(), service, { ...NOTHING, ...around }).map(
    ({ name, healthy, reason }) => `${name} ${healthy}: ${reason}`,
  )

test('a worker needs what it waits for and Redis, and each says why it is not there', () => {
  const it = story(services).see('comfyui-gpu0', running(5, 0), 1).probe('comfyui-gpu0', REFUSED, 2)
  assert.equal(of('redis-worker-gpu0', { redis: { connected: false, problem: 'WRONGPASS' } }, it), [
    'comfyui-gpu0 false: it is starting: nothing listens',
    'models false: it is down',
    'gone false: the machine has no such service',
    'redis false: WRONGPASS',
  ])
})

test('what is ready, what is done and a Redis that answers are healthy', () => {
  const it = story(services)
    .see('comfyui-gpu0', running(5, 0), 1)
    .probe('comfyui-gpu0', OK, 2)
    .see('models', seen({ wantUp: false }, { gateOpenedAtMs: 5 }), 3)
  assert.equal(of('redis-worker-gpu0', { redis: { connected: true, problem: null } }, it).slice(0, 2), [
    'comfyui-gpu0 true: null',
    'models true: null',
  ])
  assert.is(of('redis-worker-gpu0', { redis: { connected: true, problem: null } }, it).at(-1), 'redis true: null')
})

test('a Redis that nobody has asked yet is not known; one that nobody names is missing', () => {
  assert.is(of('redis-worker-gpu0').at(-1), 'redis null: the sidecar has no connection to it')
  const without = { ...plan, redis: { ...plan.redis, urlSecret: null } }
  assert.is(
    of('redis-worker-gpu0', {}, story(services), without).at(-1),
    'redis false: the machine file names no Redis',
  )
})

test('Ollama needs its models, whatever the tag and the case', () => {
  const modelsAvailable = ['llama3:latest', 'qwen:7b', 'mistral:latest']
  const workloadOf = () => knownWorkload({ atMs: 0, modelsAvailable })
  assert.equal(of('ollama', { workloadOf }), [
    'llama3 true: null',
    'Qwen:7b true: null',
    'hf.co/org/repo false: Ollama does not have it',
  ])
  assert.is(of('ollama')[0], 'llama3 null: Ollama has not said yet which models it has')
})

test('a service that needs nothing, and one that is none, have no dependencies', () => {
  assert.equal(of('comfyui-gpu0'), [])
  assert.equal(of('nosuch'), [])
})

test.run()
