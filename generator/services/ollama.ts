import type { Custom, Ollama } from '../../schema/machine.ts'
import { bindAddress, hostAndPort, reachableAddress } from '../plan/addresses.ts'
import { sizeBytes } from '../plan/quantities.ts'
import { pinToGpus, selectGpus } from './gpu-instances.ts'
import { healthPath, simulated } from './gpu-service.ts'
import { PINNING_VARIABLES, planEnvironment } from './program.ts'
import type { PlanContext, ServiceDraft, ServiceKind } from './service-type.ts'
import { offsetNote } from './sidecar.ts'
import { planSupervision, supervisionProvenance } from './supervision.ts'

export const ollama: ServiceKind<'ollama'> = {
  key: 'ollama',
  type: 'ollama',
  ownedFlags: [],
  ownedVariables: [...PINNING_VARIABLES, 'OLLAMA_HOST', 'OLLAMA_MODELS', 'OLLAMA_KEEP_ALIVE'],
  expand: (context) => {
    const settings = context.settings.services.ollama
    return settings === undefined ? [] : [draftOllama(context, settings)]
  },
}

/** GET routes that answer 200 without parameters (Ollama, server/routes.go). */
const SERVED_PATHS = ['/api/version', '/api/tags', '/api/ps', '/']

function draftOllama(context: PlanContext, settings: Ollama): ServiceDraft {
  const listen = bindAddress(settings.listen, context.target)
  const port = settings.port + context.portOffset
  const gpus = selectGpus(context, 'ollama', settings.gpus)
  const directory = context.place(settings.directory)
  const path = healthPath(context, 'ollama', settings.healthEndpoint, SERVED_PATHS, '/api/version')
  const environment = planEnvironment(context, ollama, 'ollama', settings.env, {
    ...pinToGpus(gpus),
    ...overheadFor(
      context,
      gpus.map((gpu) => gpu.index),
    ),
    // `ollama serve` refuses to start without a home; its key pair lives there.
    HOME: `${context.paths.workspace}/ollama`,
    OLLAMA_HOST: hostAndPort(listen, port),
    OLLAMA_MODELS: directory,
    OLLAMA_KEEP_ALIVE: settings.keepAlive,
  })
  const flags = ['serve', ...settings.args]
  return {
    service: {
      name: 'ollama',
      type: 'ollama',
      key: 'ollama',
      gpu: null,
      kind: 'longrun',
      ...simulated(context, 'ollama', 'ollama', gpus[0] ?? null, {
        command: [...(settings.command ?? ['ollama']), ...flags],
        flags,
        workingDirectory: context.paths.workspace,
        requiredFiles: [],
        environment: environment.environment,
      }),
      user: settings.user ?? null,
      secretEnvironment: environment.secretEnvironment,
      threadShare: null,
      listen,
      address: reachableAddress(listen),
      port,
      probe: { kind: 'http', path, expect: path === '/api/version' ? 'ollama' : 'status' },
      waitsFor: [],
      stopsBefore: [],
      ...planSupervision(context, 'ollama', settings),
      readiness: null,
      workerId: null,
    },
    dependsOn: settings.dependsOn.map((key, index) => ({ key, pointer: `/services/ollama/dependsOn/${index}` })),
    claims: [{ port, purpose: 'ollama', pointer: '/services/ollama/port' }],
    // Ollama answers requests for other hosts with 403 (ollama, docs/faq).
    routes: [{ kind: 'service', path: '/ollama/', service: 'ollama', host: 'localhost', pointer: '/services/ollama' }],
    directories: [`${context.paths.workspace}/ollama`, directory],
    memory:
      settings.gpuMemory === undefined
        ? null
        : {
            gpus: gpus.map((gpu) => gpu.index),
            bytes: sizeBytes(settings.gpuMemory),
            pointer: '/services/ollama/gpuMemory',
          },
    provenance: () => ({
      port: { pointer: '/services/ollama/port', ...offsetNote(context) },
      listen: { pointer: '/services/ollama/listen' },
      'probe.path': { pointer: '/services/ollama/healthEndpoint' },
      models: { pointer: '/services/ollama/models' },
      'environment.OLLAMA_MODELS': { pointer: '/services/ollama/directory' },
      'environment.OLLAMA_KEEP_ALIVE': { pointer: '/services/ollama/keepAlive' },
      'environment.CUDA_VISIBLE_DEVICES': { pointer: '/services/ollama/gpus' },
      ...supervisionProvenance('/services/ollama'),
    }),
  }
}

/** What Ollama leaves free on each GPU: the most that the others declare on one of its own. */
function overheadFor(context: PlanContext, gpus: readonly number[]): Record<string, string> {
  const others = Object.entries(context.settings.services).filter(([key]) => key !== 'ollama')
  const onGpu = (gpu: number) =>
    others.reduce((sum, [key, service]) => sum + memoryOn(gpu, key, service as Declares), 0)
  const bytes = Math.max(0, ...gpus.map(onGpu))
  return bytes === 0 ? {} : { OLLAMA_GPU_OVERHEAD: String(bytes) }
}

/** What a service other than Ollama may say of GPU memory: built-in ones lack `gpus`, and some lack all of it. */
type Declares = Partial<Pick<Custom, 'enabled' | 'perGpu' | 'gpus' | 'gpuMemory'>>

/** Bytes that a service declares on one GPU. A single built-in one is on GPU 0, a single custom one on all it names. */
function memoryOn(gpu: number, key: string, { enabled, perGpu, gpus, gpuMemory }: Declares): number {
  if (enabled !== true || gpuMemory === undefined) return 0
  const single = key === 'comfyui' || key === 'automatic1111' ? [0] : (gpus ?? [])
  return perGpu === true || single.length === 0 || single.includes(gpu) ? sizeBytes(gpuMemory) : 0
}
