import assert from 'node:assert/strict'
import { test } from 'uvu'
import { compile } from '../../generator/compile.ts'
import type { Diagnostic } from '../../generator/diagnostics/diagnostic.ts'

const HEAD = 'machine: { id: m, gpu: { count: 2 } }\n'

function findings(text: string, file = 'machine.yaml'): readonly Diagnostic[] {
  return compile({ sources: [{ file, text }] }).diagnostics
}

const brief = ({ code, range }: Diagnostic): string => `${code} ${range.start.line}:${range.start.column}`

/** What is wrong, the machine file, and the findings with their places. */
const CASES: readonly (readonly [string, string, readonly string[]])[] = [
  [
    'two services on one port',
    `${HEAD}services:\n  comfyui: { basePort: 8188 }\n  ollama: { port: 8189 }\n`,
    ['PORT_CONFLICT 4:19'],
  ],
  [
    'ports that meet across GPUs',
    `${HEAD}services:\n  comfyui: { basePort: 3000 }\n  automatic1111:\n    basePort: 3001\n`,
    ['PORT_CONFLICT 5:15'],
  ],
  [
    'a port of the proxy',
    `${HEAD}services:\n  nginx: {}\n  comfyui: {}\n  api: { command: [a], port: 3189 }\n`,
    ['PORT_CONFLICT 3:3'],
  ],
  ['the port of the sidecar', `${HEAD}services:\n  nginx: { port: 9090 }\n`, ['PORT_CONFLICT 3:18']],
  ['a port after the last', `${HEAD}services:\n  comfyui: { basePort: 65535 }\n`, ['PORT_RANGE 3:24']],
  ['a machine id with a dot', 'machine: { id: a.b }\nservices: {}\n', ['BAD_NAME 1:16']],
  ['a machine id with a colon', 'machine: { id: "a:b" }\nservices: {}\n', ['BAD_NAME 1:16']],
  ['a reserved name', `${HEAD}services:\n  sidecar: { command: [a] }\n`, ['RESERVED_NAME 3:3']],
  ['a name that s6 forbids', `${HEAD}services:\n  s6rc-x: { command: [a] }\n`, ['RESERVED_NAME 3:3']],
  ['a name with a slash', `${HEAD}services:\n  a/b: { command: [a] }\n`, ['BAD_NAME 3:3']],
  [
    'two instances of one name',
    `${HEAD}services:\n  api: { command: [a], perGpu: true }\n  api-gpu0: { command: [a] }\n`,
    ['NAME_CONFLICT 4:3'],
  ],
  ['an unknown key', `${HEAD}services:\n  comfyui: { basePrt: 1 }\n`, ['UNKNOWN_KEY 3:14']],
  [
    'an unknown service',
    `${HEAD}services:\n  comfiui: { basePort: 8188 }\n`,
    ['UNKNOWN_SERVICE 3:3', 'UNKNOWN_KEY 3:14'],
  ],
  ['a missing key', 'services: {}\n', ['MISSING_KEY 1:1']],
  ['a bare number for a duration', `${HEAD}services:\n  nginx: { stop: { timeout: 5 } }\n`, ['WRONG_TYPE 3:29']],
  [
    'a cycle',
    `${HEAD}services:\n  a: { command: [a], dependsOn: [b] }\n  b: { command: [b], dependsOn: [a] }\n`,
    ['DEPENDENCY_CYCLE 3:33'],
  ],
  [
    'a service that waits for itself',
    `${HEAD}services:\n  a: { command: [a], dependsOn: [a] }\n`,
    ['DEPENDENCY_CYCLE 3:33'],
  ],
  [
    'a disabled dependency',
    `${HEAD}services:\n  ollama: { enabled: false }\n  a: { command: [a], dependsOn: [ollama] }\n`,
    ['DEPENDENCY_DISABLED 4:34'],
  ],
  [
    'an unknown dependency',
    `${HEAD}services:\n  a: { command: [a], dependsOn: [olama] }\n`,
    ['UNKNOWN_DEPENDENCY 3:34'],
  ],
  [
    'a flag of the compiler',
    `${HEAD}services:\n  comfyui:\n    args: [--fast, --port=1, --cuda-dev, "2"]\n`,
    ['OWNED_FLAG 4:20', 'OWNED_FLAG 4:30'],
  ],
  [
    'a variable of the compiler',
    `${HEAD}services:\n  comfyui: { env: { CUDA_VISIBLE_DEVICES: 3 } }\n`,
    ['OWNED_VARIABLE 3:21'],
  ],
  ['a GPU that is not there', `${HEAD}services:\n  ollama: { gpus: [0, 2] }\n`, ['GPU_OUT_OF_RANGE 3:23']],
  [
    'fewer devices than GPUs',
    'machine:\n  id: m\n  gpu: { count: 2, devices: [1] }\nservices: {}\n',
    ['GPU_OUT_OF_RANGE 3:29'],
  ],
  [
    'a GPU count that nobody knows',
    'machine: { id: m, gpu: { count: auto } }\nservices: {}\n',
    ['GPU_COUNT_UNKNOWN 1:33'],
  ],
  [
    'more memory than a GPU has',
    `${HEAD}services:\n  comfyui: { gpuMemory: 12GB }\n  ollama: { gpuMemory: 8GB }\n`,
    ['MEMORY_OVERCOMMIT 3:25'],
  ],
  [
    'a route of the machine',
    `${HEAD}services:\n  nginx: {}\n  a: { command: [a], port: 7000, route: /api/v1/ }\n`,
    ['ROUTE_CONFLICT 4:41'],
  ],
  [
    'a route twice',
    `${HEAD}services:\n  nginx: {}\n  a: { command: [a], port: 7000, route: /x/ }\n  b: { command: [b], port: 7001, route: /x/ }\n`,
    ['ROUTE_CONFLICT 5:41'],
  ],
  ['a path that climbs', `${HEAD}services: {}\npaths: { shared: ../etc }\n`, ['PATH_TRAVERSAL 3:18']],
  ['a path with a variable', `${HEAD}services: {}\npaths: { shared: "a$$b" }\n`, ['UNSAFE_VALUE 3:18']],
  ['a NUL character', `${HEAD}services:\n  a: { command: ["x\\0"] }\n`, ['UNSAFE_VALUE 3:18']],
  ['half a surrogate pair', `${HEAD}services:\n  a: { command: ["x\\ud800"] }\n`, ['INVALID_VALUE 3:18']],
  [
    'a stop that is too long',
    `${HEAD}services:\n  redisWorker: { stop: { timeout: 2m } }\n`,
    ['STOP_CHAIN_TOO_LONG 1:1'],
  ],
  [
    'a budget out of reach',
    `${HEAD}services:\n  ollama: { restart: { window: 10s } }\n`,
    ['RESTART_BUDGET_UNREACHABLE 3:32'],
  ],
  [
    'an overlay that does not work',
    'machine: { id: m, s6Overlay: 3.2.3.1 }\nservices: {}\n',
    ['OVERLAY_UNSUPPORTED 1:30'],
  ],
  ['an open proxy', `${HEAD}services:\n  nginx: { auth: { mode: "off" } }\n`, ['PROXY_OPEN 3:26']],
  [
    'a variable that must be set',
    'machine: { id: "${ID:?name the machine}" }\nservices: {}\n',
    ['VARIABLE_REQUIRED 1:17'],
  ],
  [
    'a signal that no stop can use',
    `${HEAD}services:\n  a: { command: [a], stop: { signal: SIGKILL } }\n`,
    ['INVALID_VALUE 3:38'],
  ],
  [
    'a stop that would wait for ever',
    `${HEAD}services:\n  a: { command: [a], stop: { timeout: 0s } }\n`,
    ['INVALID_VALUE 3:39'],
  ],
  ['a pause of nothing', `${HEAD}services:\n  a: { command: [a], restart: { backoff: { initial: 0s } } }\n`, []],
  [
    'a duration that programs cannot count',
    `${HEAD}services:\n  a: { command: [a], liveness: { interval: 577h } }\n`,
    ['INVALID_VALUE 3:44'],
  ],
  ['a size without bounds', `${HEAD}services:\n  nginx: { maxBodySize: 99999TB }\n`, ['INVALID_VALUE 3:25']],
  [
    'addresses that are none',
    `${HEAD}services:\n  nginx: { listen: 999.1.1.1 }\n  comfyui: { listen: "::::" }\n  ollama: { listen: "[::1" }\n`,
    ['INVALID_VALUE 3:20', 'INVALID_VALUE 4:22', 'INVALID_VALUE 5:21'],
  ],
  ['an address in brackets', `${HEAD}services:\n  comfyui: { listen: "[::1]" }\n`, []],
  [
    'programs without a name',
    `${HEAD}services:\n  a: { command: [""] }\n  comfyui: { python: "" }\n`,
    ['INVALID_VALUE 3:18', 'INVALID_VALUE 4:22'],
  ],
  [
    'an argument that no program can be given',
    `${HEAD}services:\n  a: { command: [a, ${'x'.repeat(131_000)}] }\n`,
    ['UNSAFE_VALUE 3:21'],
  ],
  [
    'a variable that no object can hold',
    `${HEAD}services:\n  a: { command: [a], env: { __proto__: x } }\n`,
    ['INVALID_VALUE 3:29'],
  ],
  [
    'a service called like a part of every object',
    `${HEAD}services:\n  constructor: { command: [a], perGpu: true }\n`,
    [],
  ],
  ['a name of a bundle', `${HEAD}services:\n  redis-worker: { command: [a] }\n`, ['RESERVED_NAME 3:3']],
  [
    'routes that no request reaches',
    `${HEAD}services:\n  nginx: { healthEndpoint: //x }\n  a: { command: [a], port: 7000, route: /../x/ }\n`,
    ['INVALID_VALUE 3:28', 'PATH_TRAVERSAL 4:41'],
  ],
  [
    'a health endpoint in the place of a route',
    `${HEAD}services:\n  nginx: { healthEndpoint: /api/health }\n`,
    ['ROUTE_CONFLICT 3:28'],
  ],
  [
    'a health endpoint in the place of the one of nginx',
    `${HEAD}services:\n  nginx: { healthEndpoint: /-/proxy }\n`,
    ['ROUTE_CONFLICT 3:28'],
  ],
  [
    'every cycle',
    `${HEAD}services:\n  a: { command: [a], dependsOn: [b] }\n  b: { command: [b], dependsOn: [a] }\n  c: { command: [c], dependsOn: [d], perGpu: true }\n  d: { command: [d], dependsOn: [c], perGpu: true }\n`,
    ['DEPENDENCY_CYCLE 3:33', 'DEPENDENCY_CYCLE 5:33'],
  ],
  ['a workspace that is everything', `${HEAD}services: {}\npaths: { workspace: / }\n`, ['INVALID_VALUE 3:21']],
  ['two missing keys', 'paths: {}\n', ['MISSING_KEY 1:1', 'MISSING_KEY 1:1']],
  ['two flags in one argument', `${HEAD}services:\n  comfyui: { args: ["--port 80"] }\n`, ['OWNED_FLAG 3:21']],
  [
    'services per GPU on a machine without one',
    'machine: { id: m, gpu: { count: 0 } }\nservices:\n  comfyui: {}\n  a: { command: [a], perGpu: true }\n  b: { command: [b] }\n  ollama: {}\n',
    ['NO_GPU 3:3', 'NO_GPU 4:3'],
  ],
  [
    'more services than any machine has',
    `machine: { id: m, gpu: { count: 64 } }\nservices:\n${Array.from({ length: 16 }, (_, i) => `  a${i}: { command: [a], perGpu: true }\n`).join('')}`,
    ['INVALID_VALUE 2:1'],
  ],
  [
    'two services that meet on every GPU, once',
    'machine: { id: m, gpu: { count: 64 } }\nservices:\n  comfyui: { basePort: 3000 }\n  automatic1111: {}\n',
    ['PORT_CONFLICT 4:3'],
  ],
  ['a secret in the file', `${HEAD}services: {}\nredis: { url: "redis://:pw@h:6379" }\n`, []],
  [
    'a secret that somebody uses',
    `${HEAD}services: { redisWorker: {} }\nredis: { url: "redis://:pw@h:6379" }\n`,
    ['LITERAL_SECRET 3:15'],
  ],
]

for (const [title, text, expected] of CASES) {
  test(`finds ${title}`, () => {
    assert.deepEqual(findings(text).map(brief), expected)
  })
}

test('a port conflict names both who claim it, and where the other does', () => {
  const [conflict] = findings(`${HEAD}services:\n  comfyui: { basePort: 8188 }\n  ollama: { port: 8189 }\n`)
  assert.equal(conflict?.message, 'cannot use port 8189 for "ollama": "comfyui-gpu1" has it')
  assert.equal(conflict?.related?.[0]?.range.start.line, 3)
})

test('a stop chain that is too long is printed link by link', () => {
  const [finding] = findings(`${HEAD}services: { nginx: {}, comfyui: {}, redisWorker: { stop: { timeout: 2m } } }\n`)
  assert.match(finding?.message ?? '', /redis-worker-gpu0 2m, then comfyui-gpu0 10s, then nginx 5s, then sidecar 3s/)
})

test('a misspelt key, service or dependency suggests the right one', () => {
  const hints = findings(`${HEAD}services:\n  comfyui: { basePrt: 1 }\n  olama: {}\n`).map((finding) => finding.hint)
  assert.deepEqual(hints, ['did you mean "basePort"?', 'did you mean "ollama"?'])
})

test('all findings of a machine file are reported at once, in the order of the file', () => {
  const text = 'machine: { id: A.B }\nservices:\n  comfyui: { nope: 1 }\n  nginx: { port: "x" }\n'
  assert.deepEqual(findings(text).map(brief), ['BAD_NAME 1:16', 'UNKNOWN_KEY 3:14', 'WRONG_TYPE 4:18'])
})

test('a mistake in the shape hides none in the meaning, and makes none up', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['{ comfyui: { basePort: 8188, nope: 1 }, ollama: { port: 8188 } }', ['UNKNOWN_KEY', 'PORT_CONFLICT']],
    ['{ comfyui: { basePrt: 9000 }, ollama: { port: 8188 } }', ['UNKNOWN_KEY']],
    ['{ comfyui: { basePort: "x" }, ollama: { port: 8188 } }', ['WRONG_TYPE']],
    ['{ comfyui: { args: [--port, 1, --fast] } }', ['WRONG_TYPE']],
    ['{ comfyui: { args: [--port], env: [] } }', ['OWNED_FLAG', 'WRONG_TYPE']],
    ['{ comfiui: {}, a: { command: [a], dependsOn: [comfyui] } }', ['UNKNOWN_SERVICE']],
    [
      '{ s6x: { command: [a] }, a: { command: [a], gpus: [9], nope: 1 } }',
      ['RESERVED_NAME', 'GPU_OUT_OF_RANGE', 'UNKNOWN_KEY'],
    ],
    [
      '{ a: { command: [a], dependsOn: [b] }, b: { command: [a], dependsOn: [a], nope: 1 } }',
      ['DEPENDENCY_CYCLE', 'UNKNOWN_KEY'],
    ],
    ['{ nginx: { tls: { key: /k } }, ollama: { port: 80 } }', ['MISSING_KEY']],
    ['{ nginx: { tls: { key: /k }, port: 80 }, ollama: { port: 80 } }', ['MISSING_KEY', 'PORT_CONFLICT']],
  ]
  for (const [services, expected] of cases) {
    const codes = findings(`${HEAD}services: ${services}\n`).map(({ code }) => code)
    assert.deepEqual(codes, expected, services)
  }
})

test('what is wrong with the GPUs leaves nothing to say about those who use them', () => {
  const text = 'machine: { id: m, gpu: { count: two } }\nservices: { ollama: { gpus: [1] } }\n'
  assert.deepEqual(
    findings(text).map(({ code }) => code),
    ['INVALID_VALUE'],
  )
})

test('the plan document of the originals compiles unchanged, with exactly its three warnings', async () => {
  const { readFileSync } = await import('node:fs')
  const text = readFileSync('test/golden/plan-config/machine.json', 'utf8')
  const { diagnostics, artifacts } = compile({ sources: [{ file: 'plan-config.json', text }] })
  assert.deepEqual(
    diagnostics.map(({ code, severity }) => `${severity} ${code}`),
    ['warning HEALTH_ENDPOINT_UNSERVED', 'warning HEALTH_ENDPOINT_UNSERVED', 'warning LITERAL_SECRET'],
  )
  const holders = artifacts.filter(({ content }) => String(content).includes('default:password'))
  assert.deepEqual(
    holders.map(({ path, mode }) => `${path} ${mode.toString(8)}`),
    ['etc/machinegen/secrets/redis-url 600'],
  )
})

test.run()
