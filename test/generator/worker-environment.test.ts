import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'uvu'
import { compile } from '../../generator/compile.ts'
import type { PlannedService } from '../../schema/plan.ts'

function workersOf(services: string, more: Parameters<typeof compile>[0] | object = {}): readonly PlannedService[] {
  const text = `machine: { id: box, gpu: { count: 2, memoryGB: 24, model: RTX 4090, devices: [3, 5] } }\nservices: ${services}\n`
  const { plan, diagnostics } = compile({ sources: [{ file: 'machine.yaml', text }], ...more })
  assert.deepEqual(diagnostics, [])
  return plan?.services.filter((service) => service.type === 'redis-worker') ?? []
}

const EVERYTHING = '{ comfyui: {}, automatic1111: {}, ollama: { models: [llama3, other] }, redisWorker: {} }'

/** Variable and its value for the worker of GPU 1, of all that the workers of the three generations read. */
const EXPECTED: readonly (readonly [string, string])[] = [
  // identity and mode
  ['WORKER_ID', 'box-worker-1'],
  ['MACHINE_ID', 'box'],
  ['GPU_ID', '1'],
  ['CUDA_DEVICE_ORDER', 'PCI_BUS_ID'],
  ['CUDA_VISIBLE_DEVICES', '5'],
  ['NODE_ENV', 'production'],
  ['UNIFIED_MACHINE_STATUS', 'true'],
  ['STANDALONE_MODE', 'false'],
  ['USE_LOCAL_WORKER', 'false'],
  ['WORKER_DASHBOARD_ENABLED', 'false'],
  // jobs
  ['WORKER_CONNECTORS', 'comfyui,a1111,ollama'],
  ['WORKER_SERVICES', 'comfyui,a1111,ollama'],
  ['WORKERS', 'emprops-app:1'],
  ['CONNECTORS', 'emprops-app'],
  // hardware
  ...inPairs('GPU_MEMORY_GB', '24'),
  ...inPairs('GPU_MODEL', 'RTX 4090'),
  // services
  ...inPairs('COMFYUI_HOST', '127.0.0.1'),
  ...inPairs('COMFYUI_PORT', '8189'),
  ...inPairs('COMFYUI_SECURE', 'false'),
  ...inPairs('COMFYUI_USERNAME', ''),
  ...inPairs('COMFYUI_PASSWORD', ''),
  ...inPairs('COMFYUI_TIMEOUT_SECONDS', '300'),
  ...inPairs('COMFYUI_RETRY_ATTEMPTS', '3'),
  ...inPairs('COMFYUI_RETRY_DELAY_SECONDS', '2'),
  ...inPairs('COMFYUI_MAX_CONCURRENT_JOBS', '1'),
  ...inPairs('COMFYUI_HEARTBEAT_MS', '30000'),
  ...inPairs('COMFYUI_RECONNECT_DELAY_MS', '5000'),
  ...inPairs('COMFYUI_MAX_RECONNECT', '5'),
  ...inPairs('A1111_HOST', '127.0.0.1'),
  ...inPairs('A1111_PORT', '3002'),
  ...inPairs('A1111_USERNAME', ''),
  ...inPairs('A1111_PASSWORD', ''),
  ...inPairs('A1111_TIMEOUT_SECONDS', '300'),
  ...inPairs('A1111_MAX_CONCURRENT_JOBS', '1'),
  ['OLLAMA_HOST', '127.0.0.1'],
  ['OLLAMA_PORT', '11434'],
  ['OLLAMA_DEFAULT_MODEL', 'llama3'],
  ['OLLAMA_MAX_CONCURRENT_JOBS', '2'],
  ['WORKER_SIMULATION_JOB_TYPE', 'simulation'],
  ['WORKER_SIMULATION_PROCESSING_TIME', '10'],
  ['WORKER_SIMULATION_STEPS', '5'],
  ['WORKER_SIMULATION_PROGRESS_INTERVAL_MS', '200'],
  ['WORKER_SIMULATION_FAILURE_RATE', '0'],
  ['WORKER_SIMULATION_HEALTH_CHECK_FAILURE_RATE', '0'],
  // timing and log
  ...inPairs('POLL_INTERVAL_MS', '1000'),
  ...inPairs('HEARTBEAT_INTERVAL_MS', '30000'),
  ['WORKER_HEARTBEAT_INTERVAL', '20'],
  ...inPairs('JOB_TIMEOUT_MINUTES', '30'),
  ...inPairs('HEALTH_CHECK_INTERVAL_MS', '30000'),
  ...inPairs('WEBSOCKET_INACTIVITY_TIMEOUT_MS', '30000'),
  ['LOG_LEVEL', 'info'],
  ['WORKER_LOG_LEVEL', 'INFO'],
]

function inPairs(name: string, value: string): [string, string][] {
  return [
    [name, value],
    [`WORKER_${name}`, value],
  ]
}

/** Resolved at boot. */
const REFERENCES = [
  'HUB_REDIS_URL',
  'WORKER_WEBSOCKET_AUTH_TOKEN',
  'WEBSOCKET_AUTH_TOKEN',
  'WORKER_REDIS_API_HOST',
  'WORKER_REDIS_API_PORT',
  'WORKER_USE_SSL',
  'WORKER_RAM_GB',
]

test('a worker gets every variable that some worker reads, with the values of its own GPU', () => {
  const [, worker] = workersOf(EVERYTHING)
  assert.deepEqual(worker?.environment, Object.fromEntries([...EXPECTED].sort(([a], [b]) => (a < b ? -1 : 1))))
  assert.deepEqual(Object.keys(worker?.secretEnvironment ?? {}).sort(), [...REFERENCES].sort())
})

test('the decision names every variable', () => {
  const page = readFileSync('docs/decisions/0005-worker-environment.md', 'utf8')
  const names = [...EXPECTED.map(([name]) => name), ...REFERENCES].map((name) =>
    name.replace(/^WORKER_(?=COMFYUI_|A1111_|GPU_|POLL|JOB|HEALTH|WEBSOCKET_INACTIVITY|HEARTBEAT_INTERVAL_MS)/, ''),
  )
  const missing = names.filter((name) => !page.includes(name.replace(/^(COMFYUI_|A1111_|WORKER_SIMULATION_)/, '')))
  assert.deepEqual(missing, [])
})

test('what is in the environment is in the .env of the worker too', () => {
  const text = `machine: { id: box }\nservices: ${EVERYTHING}\n`
  const { plan } = compile({ sources: [{ file: 'machine.yaml', text }] })
  assert.deepEqual(plan?.secretFiles, [{ path: '/workspace/worker_gpu0/.env', service: 'redis-worker-gpu0' }])
})

test('all workers are led to a service that has one instance', () => {
  const workers = workersOf('{ comfyui: { perGpu: false, portIncrement: 10 }, redisWorker: {} }')
  assert.deepEqual(
    workers.map(({ environment }) => environment.COMFYUI_PORT),
    ['8188', '8188'],
  )
})

test('ports follow the increment and the offset, hosts the address, of the service', () => {
  const services = '{ comfyui: { portIncrement: 10, listen: "[::1]" }, ollama: { listen: 0.0.0.0 }, redisWorker: {} }'
  const [, worker] = workersOf(services, { portOffset: 100 })
  const { COMFYUI_PORT, WORKER_COMFYUI_HOST, OLLAMA_HOST, OLLAMA_PORT } = worker?.environment ?? {}
  assert.deepEqual([COMFYUI_PORT, WORKER_COMFYUI_HOST], ['8298', '[::1]'])
  assert.deepEqual([OLLAMA_HOST, OLLAMA_PORT], ['127.0.0.1', '11534'])
})

test('a service that does not run has no variables and no connector', () => {
  const [worker] = workersOf('{ automatic1111: {}, comfyui: { enabled: false }, redisWorker: {} }')
  const names = Object.keys(worker?.environment ?? {})
  assert.deepEqual(
    names.filter((name) => /COMFYUI|OLLAMA/.test(name)),
    [],
  )
  assert.equal(worker?.environment.CONNECTORS, 'a1111')
})

test("the user's own values win, in clear or by reference", () => {
  const [worker] = workersOf(
    '{ redisWorker: { env: { LOG_LEVEL: debug, WORKER_USE_SSL: false, WORKER_RAM_GB: "${RAM}" } } }',
  )
  assert.equal(worker?.environment.LOG_LEVEL, 'debug')
  assert.equal(worker?.environment.WORKER_USE_SSL, 'false')
  assert.equal(worker?.secretEnvironment.WORKER_USE_SSL, undefined)
  assert.equal(worker?.secretEnvironment.WORKER_RAM_GB, 'redisWorker.WORKER_RAM_GB')
})

test.run()
