import type { Environment } from '../../schema/interpolation.ts'
import {
  absolutePath,
  argumentList,
  boolean,
  bundleMode,
  connectors,
  gigabytes,
  gpuCount,
  gpuMode,
  httpUrl,
  integer,
  machineId,
  model,
  modelDirectory,
  models,
  modelsUnlessPath,
  ollamaAddress,
  ollamaPort,
  opposite,
  path,
  port,
  seconds,
  text,
} from './environment-readers.ts'
import { anyWins, type Combine, type EnvironmentRow, firstWins, type Reader, readRow } from './environment-row.ts'
import {
  workersConnectors,
  workersEnable,
  workersGpus,
  workersOnEachGpu,
  workersPerGpu,
  workersSwitch,
} from './workers-grammar.ts'

const NGINX = '/services/nginx'
const COMFYUI = '/services/comfyui'
const AUTOMATIC1111 = '/services/automatic1111'
const WORKER = '/services/redisWorker'
const OLLAMA = '/services/ollama'

/** `TEST_GPUS=n` is n GPUs that are not there; the row of the count reports a bad n. */
const mockByCount: Reader = {
  accepts: gpuCount.accepts,
  read: (value) => (/^[0-9]+$/.test(value) ? { value: true } : null),
}

const mockRow: EnvironmentRow = {
  pointer: '/machine/gpu/mock',
  variables: [
    { name: 'GPU_MODE', machines: ['H'], reader: gpuMode },
    { name: 'MOCK_GPU', machines: ['B', 'K', 'H'] },
    { name: 'TEST_MODE', machines: ['K', 'H'] },
    { name: 'COMFYUI_CPU_MODE', machines: ['K', 'H'] },
    { name: 'COMFYUI_CPU_ONLY', machines: [], note: 'compose files passed it, nothing read it' },
    { name: 'TEST_GPUS', machines: ['B'], reader: mockByCount, note: 'any number' },
  ],
  reader: boolean,
  combine: anyWins,
  description: 'Whether there is no GPU. One variable that says so is enough, whatever the others say.',
  example: 'MOCK_GPU=1',
}

/** The number of stand-ins counts only where no variable says that the GPUs are real. */
const mockCount: Reader = {
  ...gpuCount,
  read: (value, environment) =>
    readRow(mockRow, environment).decision?.value === false ? null : gpuCount.read(value, environment),
}

const countRow: EnvironmentRow = {
  pointer: '/machine/gpu/count',
  variables: [
    { name: 'TEST_GPUS', machines: ['B'], reader: integer(1, 64) },
    { name: 'MACHINE_NUM_GPUS', machines: ['H'] },
    { name: 'NUM_GPUS', machines: ['B', 'K', 'H'] },
    { name: 'WORKER_NUM_GPUS', machines: ['K'] },
    { name: 'MOCK_GPU_NUM', machines: ['H'], reader: mockCount, note: 'not with `GPU_MODE=actual`' },
    { name: 'WORKERS', machines: ['H'], reader: workersGpus, note: 'the largest count of its GPU types' },
  ],
  reader: gpuCount,
  description: 'How many GPUs the machine uses.',
  example: 'NUM_GPUS=2',
}

const gpusOf = (environment: Environment) => readRow(countRow, environment).decision?.value

/** The default model comes first in the list; alone it is the list. */
const defaultModelFirst: Combine = (statements) => {
  const lists = statements.filter(({ variable }) => variable !== 'OLLAMA_DEFAULT_MODEL')
  const named = statements.find(({ variable }) => variable === 'OLLAMA_DEFAULT_MODEL')
  const [first, ...others] = lists
  if (first === undefined || named === undefined) return firstWins(statements)
  const { ignored } = firstWins([first, ...others])
  return { value: [...new Set([named.value, first.value].flat())], by: first, ignored }
}

const machineRows: readonly EnvironmentRow[] = [
  {
    pointer: '/machine/id',
    variables: [
      { name: 'MACHINE_ID', machines: ['K', 'H'] },
      { name: 'CONTAINER_NAME', machines: ['K', 'H'] },
    ],
    reader: machineId,
    description: 'Name of the machine. Taken as it is: no random suffix is added.',
    example: 'MACHINE_ID=gpu-box-7',
  },
  countRow,
  mockRow,
  {
    pointer: '/machine/gpu/memoryGB',
    variables: [
      { name: 'MACHINE_GPU_MEMORY_GB', machines: ['H'] },
      { name: 'GPU_MEMORY_GB', machines: ['K'] },
      { name: 'WORKER_GPU_MEMORY_GB', machines: ['K', 'H'] },
    ],
    reader: gigabytes,
    description: 'Memory of each GPU.',
    example: 'GPU_MEMORY_GB=24',
  },
  {
    pointer: '/machine/gpu/model',
    variables: [
      { name: 'MACHINE_GPU_MODEL', machines: ['H'] },
      { name: 'GPU_MODEL', machines: ['K'] },
      { name: 'WORKER_GPU_MODEL', machines: ['K', 'H'] },
    ],
    reader: text,
    description: 'Model name of the GPUs.',
    example: 'GPU_MODEL=RTX 4090',
  },
  {
    pointer: '/paths/workspace',
    variables: [
      { name: 'WORKSPACE_PATH', machines: ['K', 'H'] },
      { name: 'WORKSPACE_DIR', machines: ['K', 'H'] },
      { name: 'ROOT', machines: ['B'] },
    ],
    reader: absolutePath,
    description: 'Root of the volume.',
    example: 'WORKSPACE_PATH=/data',
  },
  {
    pointer: '/paths/logs',
    variables: [{ name: 'LOG_DIR', machines: ['K', 'H'] }],
    reader: path,
    description: 'Log directories of the services.',
    example: 'LOG_DIR=/workspace/logs',
  },
  {
    pointer: '/sidecar/port',
    variables: [
      { name: 'MACHINE_HEALTH_PORT', machines: ['H'] },
      { name: 'HEALTH_PORT', machines: ['K'] },
    ],
    reader: port,
    description: 'Port of the health API.',
    example: 'HEALTH_PORT=9090',
  },
  {
    pointer: '/redis/announcements/interval',
    variables: [{ name: 'MACHINE_STATUS_UPDATE_INTERVAL_SECONDS', machines: ['K', 'H'] }],
    reader: seconds(1, 20),
    description: 'How often the status of the machine is said where nothing changes.',
    example: 'MACHINE_STATUS_UPDATE_INTERVAL_SECONDS=10',
  },
  {
    pointer: '/provisioning/downloadModels',
    variables: [{ name: 'SKIP_MODEL_DOWNLOAD', machines: ['B', 'K'], note: 'says the opposite' }],
    reader: opposite,
    description: 'Whether models are downloaded.',
    example: 'SKIP_MODEL_DOWNLOAD=true',
  },
]

/** A switch adds a service that the machine file lacks, with its defaults; these rows stand before all that need it. */
const switchRows: readonly EnvironmentRow[] = [
  {
    pointer: `${NGINX}/enabled`,
    variables: [{ name: 'ENABLE_NGINX', machines: ['K'] }],
    reader: boolean,
    isSwitch: true,
    description: 'Whether nginx runs.',
    example: 'ENABLE_NGINX=false',
  },
  {
    pointer: `${COMFYUI}/enabled`,
    variables: [
      { name: 'ENABLE_COMFYUI', machines: ['K'] },
      {
        name: 'WORKERS',
        machines: ['H'],
        reader: workersEnable('comfyui'),
        note: 'whether a type in it needs the service',
      },
    ],
    reader: boolean,
    isSwitch: true,
    description: 'Whether ComfyUI runs.',
    example: 'ENABLE_COMFYUI=true',
  },
  {
    pointer: `${AUTOMATIC1111}/enabled`,
    variables: [
      { name: 'ENABLE_A1111', machines: ['K'] },
      {
        name: 'WORKERS',
        machines: ['H'],
        reader: workersEnable('automatic1111'),
        note: 'whether a type in it needs the service',
      },
    ],
    reader: boolean,
    isSwitch: true,
    description: 'Whether Automatic1111 runs.',
    example: 'ENABLE_A1111=yes',
  },
  {
    pointer: `${WORKER}/enabled`,
    variables: [
      { name: 'ENABLE_REDIS_WORKERS', machines: ['K'] },
      { name: 'WORKERS', machines: ['H'], reader: workersSwitch(gpusOf), note: 'yes' },
    ],
    reader: boolean,
    isSwitch: true,
    description: 'Whether the job workers run.',
    example: 'ENABLE_REDIS_WORKERS=on',
  },
  {
    pointer: `${OLLAMA}/enabled`,
    variables: [
      { name: 'ENABLE_OLLAMA', machines: ['K'] },
      {
        name: 'WORKERS',
        machines: ['H'],
        reader: workersEnable('ollama'),
        note: 'whether a type in it needs the service',
      },
    ],
    reader: boolean,
    isSwitch: true,
    description: 'Whether Ollama runs.',
    example: 'ENABLE_OLLAMA=0',
  },
]

const perGpuRows: readonly EnvironmentRow[] = [
  {
    pointer: `${COMFYUI}/perGpu`,
    within: COMFYUI,
    variables: [{ name: 'WORKERS', machines: ['H'] }],
    reader: workersPerGpu('comfyui', gpusOf),
    description: 'Whether each GPU has a ComfyUI, or GPU 0 alone.',
    example: 'WORKERS=comfyui:auto',
  },
  {
    pointer: `${AUTOMATIC1111}/perGpu`,
    within: AUTOMATIC1111,
    variables: [{ name: 'WORKERS', machines: ['H'] }],
    reader: workersPerGpu('automatic1111', gpusOf),
    description: 'Whether each GPU has an Automatic1111, or GPU 0 alone.',
    example: 'WORKERS=comfyui:2,a1111:1',
  },
  {
    pointer: `${WORKER}/perGpu`,
    within: WORKER,
    variables: [{ name: 'WORKERS', machines: ['H'] }],
    reader: workersOnEachGpu(gpusOf),
    description: 'Whether each GPU has a worker, or GPU 0 alone.',
    example: 'WORKERS=emprops-app:auto',
  },
]

const portRows: readonly EnvironmentRow[] = [
  {
    pointer: `${NGINX}/port`,
    within: NGINX,
    variables: [
      { name: 'NGINX_PORT', machines: ['K'] },
      { name: 'NGINX_HTTP_PORT', machines: ['K'] },
    ],
    reader: port,
    description: 'Port of the proxy.',
    example: 'NGINX_PORT=8080',
  },
  {
    pointer: `${NGINX}/tls/port`,
    within: `${NGINX}/tls`,
    variables: [{ name: 'NGINX_HTTPS_PORT', machines: ['K'] }],
    reader: port,
    description: 'Port of TLS, where the machine file names a certificate.',
    example: 'NGINX_HTTPS_PORT=8443',
  },
  {
    pointer: `${COMFYUI}/basePort`,
    within: COMFYUI,
    variables: [
      { name: 'WORKER_BASE_COMFYUI_PORT', machines: ['B'] },
      { name: 'COMFYUI_BASE_PORT', machines: ['K', 'H'] },
      { name: 'COMFYUI_PORT_START', machines: ['K', 'H'] },
    ],
    reader: port,
    description: 'Port of the ComfyUI of GPU 0.',
    example: 'COMFYUI_BASE_PORT=8188',
  },
  {
    pointer: `${COMFYUI}/portIncrement`,
    within: COMFYUI,
    variables: [{ name: 'COMFYUI_PORT_INCREMENT', machines: ['K', 'H'] }],
    reader: integer(1, 1000),
    description: 'Distance between the ports of two GPUs.',
    example: 'COMFYUI_PORT_INCREMENT=10',
  },
  {
    pointer: `${AUTOMATIC1111}/basePort`,
    within: AUTOMATIC1111,
    variables: [
      { name: 'WORKER_BASE_A1111_PORT', machines: ['B'] },
      { name: 'A1111_BASE_PORT', machines: ['K', 'H'] },
      { name: 'A1111_PORT_START', machines: ['K'] },
    ],
    reader: port,
    description: 'Port of the Automatic1111 of GPU 0.',
    example: 'A1111_BASE_PORT=3001',
  },
  {
    pointer: `${OLLAMA}/port`,
    within: OLLAMA,
    variables: [
      { name: 'OLLAMA_PORT', machines: ['K', 'H'] },
      { name: 'OLLAMA_HOST', machines: ['K', 'H'], reader: ollamaPort, note: 'the port in it' },
    ],
    reader: port,
    description: 'Port of Ollama.',
    example: 'OLLAMA_PORT=11434',
  },
]

const accessRows: readonly EnvironmentRow[] = [
  {
    pointer: '/access/ssh/port',
    within: '/access/ssh',
    variables: [{ name: 'SSH_PORT', machines: ['K'] }],
    reader: port,
    description: 'Port of the SSH server.',
    example: 'SSH_PORT=2222',
  },
]

const serviceRows: readonly EnvironmentRow[] = [
  {
    pointer: `${COMFYUI}/args`,
    within: COMFYUI,
    variables: [{ name: 'COMFY_ARGS', machines: ['B', 'K', 'H'] }],
    reader: argumentList,
    description: 'Further arguments for ComfyUI, in the place of those in the file.',
    example: "COMFY_ARGS=--fast --preview-method 'latent2rgb'",
  },
  {
    pointer: `${AUTOMATIC1111}/args`,
    within: AUTOMATIC1111,
    variables: [{ name: 'A1111_ARGS', machines: ['B', 'K', 'H'] }],
    reader: argumentList,
    description: 'Further arguments for Automatic1111, in the place of those in the file.',
    example: 'A1111_ARGS=--xformers --medvram',
  },
  {
    pointer: `${WORKER}/connectors`,
    within: WORKER,
    variables: [
      { name: 'WORKER_CONNECTORS', machines: ['B', 'K', 'H'] },
      { name: 'CONNECTORS', machines: ['K', 'H'] },
      { name: 'WORKERS', machines: ['H'], reader: workersConnectors, note: 'the connectors of its types' },
    ],
    reader: connectors,
    description: 'Kinds of job that the workers take.',
    example: 'WORKER_CONNECTORS=comfyui,a1111',
  },
  {
    pointer: `${WORKER}/downloadUrl`,
    within: WORKER,
    variables: [{ name: 'WORKER_DOWNLOAD_URL', machines: ['K'] }],
    reader: httpUrl,
    description: 'Where the package of the worker comes from.',
    example: 'WORKER_DOWNLOAD_URL=https://example.com/emp-job-queue-worker.tar.gz',
  },
  {
    pointer: `${WORKER}/localPath`,
    within: WORKER,
    variables: [
      { name: 'WORKER_LOCAL_PATH', machines: ['K'] },
      { name: 'WORKER_BUNDLE_MODE', machines: ['H'], reader: bundleMode, note: '`local`: where those machines had it' },
    ],
    reader: path,
    description: 'The package of the worker on the machine, a directory or an archive.',
    example: 'WORKER_LOCAL_PATH=/opt/worker',
  },
  {
    pointer: `${OLLAMA}/listen`,
    within: OLLAMA,
    variables: [{ name: 'OLLAMA_HOST', machines: ['K', 'H'] }],
    reader: ollamaAddress,
    description: 'Address that Ollama binds.',
    example: 'OLLAMA_HOST=127.0.0.1',
  },
  {
    pointer: `${OLLAMA}/models`,
    within: OLLAMA,
    variables: [
      { name: 'OLLAMA_DEFAULT_MODEL', machines: ['K', 'H'], reader: model, note: 'goes before the list' },
      { name: 'OLLAMA_DEFAULT_MODELS', machines: ['H'] },
      { name: 'OLLAMA_MODELS', machines: ['K'], reader: modelsUnlessPath, note: 'unless it is an absolute path' },
    ],
    reader: models,
    combine: defaultModelFirst,
    description: 'Models that Ollama should have; the first is the default model of the workers.',
    example: 'OLLAMA_DEFAULT_MODELS=llama3,mistral',
  },
  {
    pointer: `${OLLAMA}/directory`,
    within: OLLAMA,
    variables: [{ name: 'OLLAMA_MODELS', machines: ['H'], note: "an absolute path: Ollama's own meaning" }],
    reader: modelDirectory,
    description: 'Where Ollama keeps its models.',
    example: 'OLLAMA_MODELS=/workspace/models',
  },
]

/** Every variable of the original machines that changes a machine. Secrets are none of them: they stay references. */
export const ENVIRONMENT_TABLE: readonly EnvironmentRow[] = [
  ...machineRows,
  ...switchRows,
  ...perGpuRows,
  ...portRows,
  ...accessRows,
  ...serviceRows,
]
