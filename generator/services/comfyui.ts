import type { Comfyui } from '../../schema/machine.ts'
import type { PlannedGpu, Probe } from '../../schema/plan.ts'
import { bindAddress, reachableAddress } from '../plan/addresses.ts'
import { sizeBytes } from '../plan/quantities.ts'
import { instanceGpus, pinToGpu } from './gpu-instances.ts'
import { gpuPortProvenance, healthPath, instanceMemory, simulated } from './gpu-service.ts'
import { checkArguments, type EnvironmentOf, PINNING_VARIABLES, readEnvironment } from './program.ts'
import type { PlanContext, ServiceDraft, ServiceKind } from './service-type.ts'
import { planSupervision, supervisionProvenance } from './supervision.ts'

/** ComfyUI's own limit where no proxy stands in front of it, in MB (ComfyUI, cli_args.py). */
const DEFAULT_UPLOAD_MB = 100

export const comfyui: ServiceKind<'comfyui'> = {
  key: 'comfyui',
  type: 'comfyui',
  ownedFlags: [
    '--port',
    '--listen',
    '--cuda-device',
    '--default-device',
    '--cpu',
    '--user-directory',
    '--temp-directory',
    '--output-directory',
    '--input-directory',
    '--base-directory',
    '--database-url',
    '--max-upload-size',
    '--auto-launch',
    '--disable-auto-launch',
    '--tls-keyfile',
    '--tls-certfile',
    '--quick-test-for-ci',
  ],
  ownedVariables: [...PINNING_VARIABLES],
  expand: (context) => {
    const settings = context.settings.services.comfyui
    if (settings === undefined) return []
    checkArguments(context, comfyui, 'comfyui', settings.args)
    const path = healthPath(context, 'comfyui', settings.healthEndpoint, SERVED_PATHS, '/system_stats')
    const probe: Probe =
      path === '/system_stats'
        ? { kind: 'http', path: '/system_stats', expect: 'comfyui' }
        : { kind: 'http', path, expect: 'status' }
    const gpus = instanceGpus(context, settings.perGpu)
    if (gpus.length === 0) return []
    const environmentOf = readEnvironment(context, comfyui, 'comfyui', settings.env)
    const alike = { probe, environmentOf, install: context.place(settings.directory) }
    return gpus.map((gpu) => draftComfyui(context, settings, gpu, alike))
  },
}

/** GET routes that answer 200 without parameters (ComfyUI, server.py). */
const SERVED_PATHS = ['/system_stats', '/queue', '/prompt', '/features', '/object_info', '/history', '/']

/** ComfyUI ends at once where one of these stands beside `--cpu` (argparse, mutually exclusive); a mock GPU has no VRAM. */
const NOT_WITH_CPU = new Set(['--gpu-only', '--highvram', '--normalvram', '--lowvram', '--novram'])

/** What all instances share. */
interface Alike {
  readonly probe: Probe
  readonly environmentOf: EnvironmentOf
  readonly install: string
}

function draftComfyui(context: PlanContext, settings: Comfyui, gpu: PlannedGpu, alike: Alike): ServiceDraft {
  const { probe, environmentOf, install } = alike
  const name = `comfyui-gpu${gpu.index}`
  const home = `${context.paths.workspace}/comfyui_gpu${gpu.index}`
  const listen = bindAddress(settings.listen, context.target)
  const port = settings.basePort + gpu.index * settings.portIncrement + context.portOffset
  const environment = environmentOf({ ...pinToGpu(gpu), PYTHONUNBUFFERED: '1' })
  const flags = [
    ...comfyuiFlags(context, gpu, home, listen, port),
    ...settings.args.filter((argument) => !gpu.mock || !NOT_WITH_CPU.has(argument)),
  ]
  const program = settings.command ?? [settings.python, 'main.py']
  return {
    service: {
      name,
      type: 'comfyui',
      key: 'comfyui',
      gpu: gpu.index,
      kind: 'longrun',
      ...simulated(context, 'comfyui', name, gpu, {
        command: [...program, ...flags],
        flags,
        workingDirectory: install,
        requiredFiles: settings.command === undefined ? [`${install}/main.py`] : [],
        environment: environment.environment,
      }),
      user: settings.user ?? null,
      secretEnvironment: environment.secretEnvironment,
      threadShare: instanceGpus(context, settings.perGpu).length,
      listen,
      address: reachableAddress(listen),
      port,
      probe,
      waitsFor: [],
      stopsBefore: [],
      ...planSupervision(context, name, settings),
      readiness: null,
      workerId: null,
    },
    dependsOn: [
      ...settings.dependsOn.map((key, index) => ({ key, pointer: `/services/comfyui/dependsOn/${index}` })),
      // Where the machine has models that must be there first.
      { key: 'models', pointer: null },
      // It looks for nodes once, when it starts.
      { key: 'custom-nodes', pointer: null },
    ],
    claims: [{ port, purpose: name, pointer: '/services/comfyui/basePort' }],
    routes: [
      { kind: 'service', path: `/comfyui/${gpu.index}/`, service: name, host: 'forward', pointer: '/services/comfyui' },
    ],
    directories: [home, `${home}/user`, `${home}/output`, `${context.paths.shared}/input`],
    memory: instanceMemory(settings.gpuMemory, gpu, 'comfyui'),
    provenance: () => ({
      ...gpuPortProvenance('comfyui', gpu, settings.portIncrement, context),
      listen: { pointer: '/services/comfyui/listen' },
      'probe.path': { pointer: '/services/comfyui/healthEndpoint' },
      workingDirectory: { pointer: '/services/comfyui/directory' },
      args: { pointer: '/services/comfyui/args' },
      device: { pointer: '/machine/gpu/devices' },
      ...supervisionProvenance('/services/comfyui'),
    }),
  }
}

/**
 * Each instance has its own user, temporary and output directories and its own database: shared ones are emptied by the
 * second start, or locked (ComfyUI, measured).
 */
function comfyuiFlags(context: PlanContext, gpu: PlannedGpu, home: string, listen: string, port: number): string[] {
  const { nginx } = context.settings.services
  const uploadMb = nginx?.enabled ? Math.ceil(sizeBytes(nginx.maxBodySize) / 1e6) : DEFAULT_UPLOAD_MB
  return [
    '--listen',
    listen,
    '--port',
    String(port),
    '--extra-model-paths-config',
    `${context.paths.config}/comfyui/comfy_dir_config.yaml`,
    '--user-directory',
    `${home}/user`,
    '--temp-directory',
    home,
    '--output-directory',
    `${home}/output`,
    '--input-directory',
    `${context.paths.shared}/input`,
    '--database-url',
    `sqlite:///${home}/user/comfyui.db`,
    '--max-upload-size',
    String(uploadMb),
    '--disable-auto-launch',
    ...(gpu.mock ? ['--cpu'] : []),
  ]
}
