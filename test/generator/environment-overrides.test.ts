import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { compile } from '../../generator/compile.ts'
import { environmentOverrides } from '../../generator/load/environment-overrides.ts'
import { ENVIRONMENT_TABLE } from '../../generator/load/environment-table.ts'
import type { JsonValue } from '../../generator/load/origin.ts'

type Environment = Readonly<Record<string, string>>

/** A machine with every built-in service, so that every variable has something to change. */
const MACHINE = `machine: { id: one, gpu: { count: 3 } }
services:
  nginx: { tls: { certificate: /c.pem, key: /k.pem } }
  comfyui: { args: [--fast] }
  automatic1111: {}
  redisWorker: {}
  ollama: { models: [mistral] }
access: { ssh: {} }
`

const compiled = (environment: Environment, text = MACHINE) =>
  compile({ sources: [{ file: 'machine.yaml', text }], environment, applyEnvironment: true })

/** What the environment says, by pointer. */
function said(environment: Environment): Record<string, JsonValue> {
  return Object.fromEntries(environmentOverrides(environment).overrides.map(({ pointer, value }) => [pointer, value]))
}

const findings = (environment: Environment) =>
  environmentOverrides(environment).diagnostics.map(({ code, severity, file, range, message }) => ({
    code,
    severity,
    file,
    at: `${range.start.line}:${range.start.column}`,
    message,
  }))

const SPLIT_ARGUMENTS = ['--a', 'b c', 'd "e', 'f g', '$HOME;']

/** Variable, a value of it, the field, what the field becomes. */
const VALUES: readonly (readonly [string, string, string, JsonValue])[] = [
  ['MACHINE_ID', 'gpu-box-7', '/machine/id', 'gpu-box-7'],
  ['CONTAINER_NAME', 'gpu-box-7', '/machine/id', 'gpu-box-7'],
  ['TEST_GPUS', '10', '/machine/gpu/count', 10],
  ['TEST_GPUS', '10', '/machine/gpu/mock', true],
  ['MACHINE_NUM_GPUS', '2', '/machine/gpu/count', 2],
  ['NUM_GPUS', '2', '/machine/gpu/count', 2],
  ['NUM_GPUS', ' 2\n', '/machine/gpu/count', 2],
  ['NUM_GPUS', 'AUTO', '/machine/gpu/count', 'auto'],
  ['NUM_GPUS', '0', '/machine/gpu/count', 0],
  ['WORKER_NUM_GPUS', '2', '/machine/gpu/count', 2],
  ['MOCK_GPU_NUM', '2', '/machine/gpu/count', 2],
  ['GPU_MODE', 'mock', '/machine/gpu/mock', true],
  ['GPU_MODE', 'actual', '/machine/gpu/mock', false],
  ['MOCK_GPU', '1', '/machine/gpu/mock', true],
  ['MOCK_GPU', '0', '/machine/gpu/mock', false],
  ['TEST_MODE', 'true', '/machine/gpu/mock', true],
  ['COMFYUI_CPU_MODE', 'true', '/machine/gpu/mock', true],
  ['COMFYUI_CPU_ONLY', 'yes', '/machine/gpu/mock', true],
  ['GPU_MEMORY_GB', '24', '/machine/gpu/memoryGB', 24],
  ['MACHINE_GPU_MEMORY_GB', '15.5', '/machine/gpu/memoryGB', 15.5],
  ['WORKER_GPU_MEMORY_GB', '24', '/machine/gpu/memoryGB', 24],
  ['GPU_MODEL', 'RTX 4090', '/machine/gpu/model', 'RTX 4090'],
  ['GPU_MODEL', '${HOME} $$', '/machine/gpu/model', '${HOME} $$'],
  ['MACHINE_GPU_MODEL', 'A100', '/machine/gpu/model', 'A100'],
  ['WORKER_GPU_MODEL', 'A100', '/machine/gpu/model', 'A100'],
  ['ROOT', '/data', '/paths/workspace', '/data'],
  ['WORKSPACE_PATH', '/data', '/paths/workspace', '/data'],
  ['WORKSPACE_DIR', '/data', '/paths/workspace', '/data'],
  ['LOG_DIR', '/var/log/machine', '/paths/logs', '/var/log/machine'],
  ['SKIP_MODEL_DOWNLOAD', 'true', '/provisioning/downloadModels', false],
  ['MACHINE_STATUS_UPDATE_INTERVAL_SECONDS', '5', '/redis/announcements/interval', '5s'],
  ['HEALTH_PORT', '9091', '/sidecar/port', 9091],
  ['MACHINE_HEALTH_PORT', '9091', '/sidecar/port', 9091],
  ['ENABLE_NGINX', 'false', '/services/nginx/enabled', false],
  ['ENABLE_COMFYUI', 'NO', '/services/comfyui/enabled', false],
  ['ENABLE_A1111', 'off', '/services/automatic1111/enabled', false],
  ['ENABLE_REDIS_WORKERS', '0', '/services/redisWorker/enabled', false],
  ['ENABLE_OLLAMA', 'True', '/services/ollama/enabled', true],
  ['ENABLE_OLLAMA', 'yes', '/services/ollama/enabled', true],
  ['ENABLE_OLLAMA', 'on', '/services/ollama/enabled', true],
  ['ENABLE_OLLAMA', '1', '/services/ollama/enabled', true],
  ['NGINX_PORT', '8080', '/services/nginx/port', 8080],
  ['NGINX_HTTP_PORT', '8080', '/services/nginx/port', 8080],
  ['NGINX_HTTPS_PORT', '8443', '/services/nginx/tls/port', 8443],
  ['WORKER_BASE_COMFYUI_PORT', '9000', '/services/comfyui/basePort', 9000],
  ['COMFYUI_BASE_PORT', '9000', '/services/comfyui/basePort', 9000],
  ['COMFYUI_PORT_START', '9000', '/services/comfyui/basePort', 9000],
  ['COMFYUI_PORT_INCREMENT', '10', '/services/comfyui/portIncrement', 10],
  ['WORKER_BASE_A1111_PORT', '4000', '/services/automatic1111/basePort', 4000],
  ['A1111_BASE_PORT', '4000', '/services/automatic1111/basePort', 4000],
  ['A1111_PORT_START', '4000', '/services/automatic1111/basePort', 4000],
  ['COMFY_ARGS', '--preview-method latent2rgb', '/services/comfyui/args', ['--preview-method', 'latent2rgb']],
  ['A1111_ARGS', `--a 'b c' "d \\"e" f\\ g $HOME;`, '/services/automatic1111/args', SPLIT_ARGUMENTS],
  ['WORKER_CONNECTORS', 'simulation, comfyui,', '/services/redisWorker/connectors', ['simulation', 'comfyui']],
  ['CONNECTORS', 'comfyui', '/services/redisWorker/connectors', ['comfyui']],
  ['WORKER_DOWNLOAD_URL', 'https://x.test/w.tgz', '/services/redisWorker/downloadUrl', 'https://x.test/w.tgz'],
  ['SSH_PORT', '2222', '/access/ssh/port', 2222],
  ['WORKER_LOCAL_PATH', '/opt/worker', '/services/redisWorker/localPath', '/opt/worker'],
  ['WORKER_BUNDLE_MODE', 'local', '/services/redisWorker/localPath', '/service-manager/worker-bundled'],
  ['OLLAMA_HOST', '0.0.0.0', '/services/ollama/listen', '0.0.0.0'],
  ['OLLAMA_HOST', 'http://0.0.0.0:11435', '/services/ollama/listen', '0.0.0.0'],
  ['OLLAMA_HOST', '127.0.0.1:11435', '/services/ollama/port', 11_435],
  ['OLLAMA_HOST', '::1', '/services/ollama/listen', '::1'],
  ['OLLAMA_PORT', '11435', '/services/ollama/port', 11_435],
  ['OLLAMA_DEFAULT_MODEL', 'llama3:8b', '/services/ollama/models', ['llama3:8b']],
  ['OLLAMA_DEFAULT_MODELS', 'llama3,phi3', '/services/ollama/models', ['llama3', 'phi3']],
  ['OLLAMA_MODELS', 'llama3,phi3,llama3', '/services/ollama/models', ['llama3', 'phi3']],
  ['OLLAMA_MODELS', '/workspace/models', '/services/ollama/directory', '/workspace/models'],
]

for (const [variable, value, pointer, expected] of VALUES) {
  test(`${variable}=${JSON.stringify(value)} gives ${pointer} ${JSON.stringify(expected)}`, () => {
    const environment = { [variable]: value }
    assert.equal(said(environment)[pointer], expected)
    assert.equal(findings(environment), [])
    const origin = compiled(environment).origins.get(pointer)
    assert.is(origin?.kind, 'environment')
    assert.equal(origin?.kind === 'environment' && [origin.variable, origin.location.file], [variable, `$${variable}`])
  })
}

test('every variable of the table has a value in these tests, and every example of the table is read', () => {
  const tested = new Set([...VALUES.map(([variable]) => variable), 'WORKERS'])
  for (const { variables, example, pointer } of ENVIRONMENT_TABLE) {
    for (const { name } of variables) assert.ok(tested.has(name), `${name} is not tested`)
    const [name = '', value = ''] = example.split(/=(.*)/s)
    assert.ok(
      variables.some((variable) => variable.name === name),
      `${example} is no example of ${pointer}`,
    )
    assert.equal(findings({ [name]: value }), [])
    assert.ok(pointer in said({ [name]: value }), `${example} says nothing of ${pointer}`)
  }
})

test('an empty variable counts as unset, and unknown ones are not looked at', () => {
  const quiet = environmentOverrides({ NUM_GPUS: '', MOCK_GPU: '  \n', PATH: '/bin', NUM_GPU: 'x', WORKERS: undefined })
  assert.equal(quiet, { overrides: [], diagnostics: [], texts: new Map() })
})

test('of several spellings the first of the table wins and a warning names both', () => {
  const environment = { COMFYUI_PORT_START: '8200', COMFYUI_BASE_PORT: '8300', WORKER_BASE_COMFYUI_PORT: '8400' }
  assert.is(said(environment)['/services/comfyui/basePort'], 8400)
  const warnings = environmentOverrides(environment).diagnostics
  assert.equal(
    warnings.map(({ code, severity, file, message }) => [code, severity, file, message]),
    [
      [
        'BAD_ENVIRONMENT_VALUE',
        'warning',
        '$COMFYUI_BASE_PORT',
        'cannot use "8300" for variable "COMFYUI_BASE_PORT": "WORKER_BASE_COMFYUI_PORT" has "8400" and wins',
      ],
      [
        'BAD_ENVIRONMENT_VALUE',
        'warning',
        '$COMFYUI_PORT_START',
        'cannot use "8200" for variable "COMFYUI_PORT_START": "WORKER_BASE_COMFYUI_PORT" has "8400" and wins',
      ],
    ],
  )
  assert.is(warnings[0]?.related?.[0]?.file, '$WORKER_BASE_COMFYUI_PORT')
})

test('spellings that say the same are no contradiction', () => {
  assert.equal(findings({ NUM_GPUS: '2', MACHINE_NUM_GPUS: '02', WORKER_NUM_GPUS: ' 2 ' }), [])
  assert.equal(findings({ MOCK_GPU: '1', TEST_MODE: 'true', GPU_MODE: 'mock', TEST_GPUS: '2' }), [])
})

test('one variable that says mock is enough, and one that says otherwise is told', () => {
  const environment = { GPU_MODE: 'actual', MOCK_GPU: '1' }
  assert.is(said(environment)['/machine/gpu/mock'], true)
  assert.equal(
    findings(environment).map(({ severity, file }) => [severity, file]),
    [['warning', '$GPU_MODE']],
  )
})

test('MOCK_GPU_NUM is read unless the GPUs are real', () => {
  assert.is(said({ GPU_MODE: 'mock', MOCK_GPU_NUM: '4' })['/machine/gpu/count'], 4)
  assert.is(said({ GPU_MODE: 'actual', MOCK_GPU_NUM: '4' })['/machine/gpu/count'], undefined)
})

test('the default model of Ollama goes before the list', () => {
  const environment = { OLLAMA_DEFAULT_MODEL: 'phi3', OLLAMA_DEFAULT_MODELS: 'llama3,phi3' }
  assert.equal(said(environment)['/services/ollama/models'], ['phi3', 'llama3'])
  assert.equal(findings(environment), [])
})

test('OLLAMA_PORT wins over the port in OLLAMA_HOST', () => {
  const environment = { OLLAMA_PORT: '11436', OLLAMA_HOST: '0.0.0.0:11435' }
  assert.is(said(environment)['/services/ollama/port'], 11_436)
  assert.is(findings(environment).length, 1)
})

const BAD_VALUES: readonly (readonly [string, string])[] = [
  ['MACHINE_ID', 'Box_7.local'],
  ['CONTAINER_NAME', 'a'.repeat(64)],
  ['NUM_GPUS', 'two'],
  ['NUM_GPUS', '65'],
  ['NUM_GPUS', '-1'],
  ['NUM_GPUS', '1e1'],
  ['TEST_GPUS', 'auto'],
  ['MOCK_GPU_NUM', 'many'],
  ['GPU_MODE', 'real'],
  ['MOCK_GPU', '2'],
  ['TEST_MODE', 'maybe'],
  ['ENABLE_NGINX', 'enabled'],
  ['ENABLE_COMFYUI', 'toString'],
  ['GPU_MEMORY_GB', '24GB'],
  ['GPU_MEMORY_GB', '0'],
  ['HEALTH_PORT', '0'],
  ['NGINX_PORT', '65536'],
  ['NGINX_PORT', '80/tcp'],
  ['COMFYUI_PORT_INCREMENT', '0'],
  ['ROOT', 'workspace'],
  ['WORKSPACE_PATH', '/a/../b'],
  ['LOG_DIR', '../logs'],
  ['COMFY_ARGS', '--x "a b'],
  ['A1111_ARGS', "it's"],
  ['A1111_ARGS', '--x \\'],
  ['WORKER_CONNECTORS', 'comfyui:2'],
  ['WORKER_CONNECTORS', ','],
  ['CONNECTORS', 'a b'],
  ['WORKER_DOWNLOAD_URL', 'ftp://x.test/w.tgz'],
  ['SSH_PORT', 'ssh'],
  ['WORKER_LOCAL_PATH', '../worker'],
  ['WORKER_BUNDLE_MODE', 'sometimes'],
  ['OLLAMA_HOST', 'ollama.example.com'],
  ['OLLAMA_HOST', '0.0.0.0:99999'],
  ['OLLAMA_DEFAULT_MODEL', 'a,b'],
  ['OLLAMA_MODELS', '../models'],
  ['WORKERS', 'comfyui'],
  ['WORKERS', 'comfyui:0'],
  ['WORKERS', 'comfyui:2:3'],
  ['WORKERS', ','],
  ['WORKERS', 'openai:2'],
  ['WORKERS', 'constructor:1'],
  ['WORKERS', 'comfyui:1,emprops-app:1'],
  ['WORKERS', 'ollama:3'],
]

for (const [variable, value] of BAD_VALUES) {
  test(`${variable}=${JSON.stringify(value)} is an error that names the variable, its value and its place`, () => {
    const found = findings({ [variable]: value })
    assert.is(found.length, 1)
    const [{ code, severity, file, at, message } = { code: '', severity: '', file: '', at: '', message: '' }] = found
    assert.equal([code, severity, file, at], ['BAD_ENVIRONMENT_VALUE', 'error', `$${variable}`, '1:1'])
    assert.ok(message.startsWith(`cannot use ${JSON.stringify(value).slice(0, 50)}`), message)
    assert.ok(message.includes(`variable "${variable}"`), message)
    const { artifacts, texts } = compiled({ [variable]: value })
    assert.equal(artifacts, [])
    assert.is(texts.get(`$${variable}`), value)
  })
}

test('a long value is clipped in the message', () => {
  const [finding] = findings({ NUM_GPUS: 'x'.repeat(5000) })
  assert.ok((finding?.message.length ?? 0) < 200)
})

/** WORKERS and what goes with it, then what it says: how many GPUs, and which service runs where. */
const WORKER_LISTS: readonly (readonly [Environment, Readonly<Record<string, JsonValue>>])[] = [
  [{ WORKERS: 'comfyui:auto' }, { comfyui: 'each', automatic1111: 'off', ollama: 'off', redisWorker: 'each' }],
  [{ WORKERS: 'comfyui:2' }, { count: 2, comfyui: 'each', automatic1111: 'off', ollama: 'off', redisWorker: 'each' }],
  [{ WORKERS: 'comfyui:1' }, { count: 1, comfyui: 'each', automatic1111: 'off', ollama: 'off', redisWorker: 'each' }],
  [
    { WORKERS: 'comfyui:1', NUM_GPUS: '4' },
    { count: 4, comfyui: 'first', automatic1111: 'off', ollama: 'off', redisWorker: 'first' },
  ],
  [
    { WORKERS: 'emprops-app:auto, ollama:1', NUM_GPUS: '2' },
    { count: 2, comfyui: 'each', automatic1111: 'each', ollama: 'on', redisWorker: 'each' },
  ],
  [
    { WORKERS: 'comfyui:2,a1111:1' },
    { count: 2, comfyui: 'each', automatic1111: 'first', ollama: 'off', redisWorker: 'each' },
  ],
  [{ WORKERS: 'ollama:1' }, { comfyui: 'off', automatic1111: 'off', ollama: 'on', redisWorker: 'first' }],
]

for (const [environment, expected] of WORKER_LISTS) {
  test(`${JSON.stringify(environment)} gives ${JSON.stringify(expected)}`, () => {
    assert.equal(findings(environment), [])
    const fields = said(environment)
    const runs = (service: string) => {
      if (fields[`/services/${service}/enabled`] !== true) return 'off'
      const perGpu = fields[`/services/${service}/perGpu`]
      return perGpu === undefined ? 'on' : perGpu ? 'each' : 'first'
    }
    const services = ['comfyui', 'automatic1111', 'ollama', 'redisWorker'].map((name) => [name, runs(name)])
    const count = fields['/machine/gpu/count']
    assert.equal({ ...(count === undefined ? {} : { count }), ...Object.fromEntries(services) }, expected)
  })
}

test('WORKERS names the connectors of its types, each once', () => {
  assert.equal(said({ WORKERS: 'ollama:auto,emprops-app:auto' })['/services/redisWorker/connectors'], [
    'ollama',
    'comfyui',
    'a1111',
  ])
})

test('more workers than GPUs are cut to one for each, with a warning', () => {
  const environment = { WORKERS: 'comfyui:8', NUM_GPUS: '2', ENABLE_REDIS_WORKERS: 'true' }
  assert.is(said(environment)['/services/comfyui/perGpu'], true)
  assert.equal(
    findings(environment).map(({ severity, file }) => [severity, file]),
    [['warning', '$WORKERS']],
  )
})

test('a count between one and all GPUs is an error that says what fits', () => {
  const [finding] = findings({ WORKERS: 'comfyui:3', NUM_GPUS: '4' })
  assert.is(finding?.severity, 'error')
  assert.match(finding?.message ?? '', /"comfyui:auto" for all of them, or "comfyui:1" for GPU 0 alone/)
  assert.is(findings({ WORKERS: 'comfyui:2', NUM_GPUS: 'auto' }).length, 1)
})

test('a switch wins over WORKERS and says so', () => {
  const environment = { WORKERS: 'emprops-app:auto', ENABLE_A1111: 'false', ENABLE_OLLAMA: 'true' }
  assert.is(said(environment)['/services/automatic1111/enabled'], false)
  assert.is(said(environment)['/services/ollama/enabled'], true)
  assert.equal(
    findings(environment).map(({ severity, file, message }) => [severity, file, message.includes('ENABLE_A1111')]),
    [['warning', '$WORKERS', true]],
  )
})

test('the environment wins over the files, and --set over the environment', () => {
  const environment = { NUM_GPUS: '2', MACHINE_ID: 'from-environment', COMFY_ARGS: '--novram' }
  const sources = [{ file: 'machine.yaml', text: MACHINE }]
  const sets = ['machine.id=from-set']
  const { plan, diagnostics } = compile({ sources, sets, environment, applyEnvironment: true })
  assert.equal(
    diagnostics.filter(({ severity }) => severity === 'error'),
    [],
  )
  assert.is(plan?.gpus.length, 2)
  assert.is(plan?.machine.id, 'from-set')
  const command = plan?.services.find(({ name }) => name === 'comfyui-gpu1')?.command ?? []
  assert.ok(command.includes('--novram') && !command.includes('--fast'), 'the variable replaces the list of the file')
})

test('the environment is not applied unless it is asked for', () => {
  const { plan } = compile({ sources: [{ file: 'machine.yaml', text: MACHINE }], environment: { NUM_GPUS: '2' } })
  assert.is(plan?.gpus.length, 3)
})

test('a finding about a value from the environment points at the variable', () => {
  const { diagnostics } = compiled({ COMFY_ARGS: '--cpu' })
  assert.equal(
    diagnostics.filter(({ severity }) => severity === 'error').map(({ code, file }) => [code, file]),
    [['OWNED_FLAG', '$COMFY_ARGS']],
  )
})

test('ENABLE_OLLAMA=true gives Ollama to a machine without it', () => {
  const { plan } = compiled({ ENABLE_OLLAMA: 'true', OLLAMA_PORT: '11435' }, 'machine: { id: one }\nservices: {}\n')
  assert.is(plan?.services.find(({ name }) => name === 'ollama')?.port, 11_435)
})

test('settings of a service are for machines that have it', () => {
  for (const { pointer, within, isSwitch } of ENVIRONMENT_TABLE) {
    if (!pointer.startsWith('/services/')) continue
    assert.is(pointer.startsWith(`${within ?? ''}/`), true)
    assert.is(within === undefined, isSwitch === true, `${pointer} has a part it needs or is a switch`)
  }
  const [disabled] = environmentOverrides({ ENABLE_OLLAMA: 'false' }).overrides
  assert.is(disabled?.within, '/services/ollama')
})

test('a setting of a service that the machine lacks, or has removed, adds nothing', () => {
  const environment = { OLLAMA_PORT: '11435', COMFY_ARGS: '--fast', NGINX_HTTPS_PORT: '8443', ENABLE_A1111: 'false' }
  const nginxOnly = compiled(environment, 'machine: { id: one }\nservices: { nginx: {}, comfyui: null }\n')
  assert.equal(
    nginxOnly.diagnostics.filter(({ severity }) => severity === 'error'),
    [],
  )
  assert.equal(nginxOnly.plan?.services.map(({ name }) => name).sort(), ['nginx', 'sidecar', 'verify'])
  assert.is(nginxOnly.plan?.proxy?.tls, null)
})

test('any text in any variable is refused by name or fits the schema', () => {
  const names = [...new Set(ENVIRONMENT_TABLE.flatMap(({ variables }) => variables.map(({ name }) => name)))]
  const likely = fc.constantFrom('1', 'true', 'auto', '8188', '/data', 'a,b', 'comfyui:2', '0.0.0.0:80', '[::1]:5')
  const text = fc.oneof(likely, fc.string(), fc.string({ unit: 'binary' }))
  const environments = fc.dictionary(fc.constantFrom(...names), text, { maxKeys: 4 })
  const shape = new Set(['UNKNOWN_KEY', 'UNKNOWN_SERVICE', 'MISSING_KEY', 'WRONG_TYPE', 'INVALID_VALUE', 'BAD_NAME'])
  fc.assert(
    fc.property(environments, (environment) => {
      const wrong = compiled(environment).diagnostics.filter(({ code }) => shape.has(code))
      assert.equal(wrong, [])
    }),
    { numRuns: 500 },
  )
})

test.run()
