import type { Automatic1111 } from '../../schema/machine.ts'
import type { PlannedGpu, Probe } from '../../schema/plan.ts'
import { bindAddress, isWildcard, reachableAddress } from '../plan/addresses.ts'
import { instanceGpus, pinToGpu } from './gpu-instances.ts'
import { gpuPortProvenance, healthPath, instanceMemory, simulated } from './gpu-service.ts'
import { checkArguments, type EnvironmentOf, PINNING_VARIABLES, readEnvironment } from './program.ts'
import type { PlanContext, ServiceDraft, ServiceKind } from './service-type.ts'
import { planSupervision, supervisionProvenance } from './supervision.ts'

export const automatic1111: ServiceKind<'automatic1111'> = {
  key: 'automatic1111',
  type: 'automatic1111',
  ownedFlags: [
    '--port',
    '--listen',
    '--server-name',
    '--device-id',
    '--use-cpu',
    '--api',
    '--data-dir',
    '--ckpt-dir',
    '--vae-dir',
    '--lora-dir',
    '--embeddings-dir',
    '--ui-settings-file',
    '--ui-config-file',
    '--styles-file',
    '--autolaunch',
    '--tls-keyfile',
    '--tls-certfile',
  ],
  ownedVariables: [...PINNING_VARIABLES, 'COMMANDLINE_ARGS'],
  expand: (context) => {
    const settings = context.settings.services.automatic1111
    if (settings === undefined) return []
    checkArguments(context, automatic1111, 'automatic1111', settings.args)
    const path = healthPath(context, 'automatic1111', settings.healthEndpoint, SERVED_PATHS, '/sdapi/v1/progress')
    const probe: Probe =
      path === '/sdapi/v1/progress'
        ? { kind: 'http', path: '/sdapi/v1/progress?skip_current_image=true', expect: 'automatic1111' }
        : { kind: 'http', path, expect: 'status' }
    const gpus = instanceGpus(context, settings.perGpu)
    if (gpus.length === 0) return []
    const environmentOf = readEnvironment(context, automatic1111, 'automatic1111', settings.env)
    const alike = { probe, environmentOf, install: context.place(settings.directory) }
    return gpus.map((gpu) => draftAutomatic1111(context, settings, gpu, alike))
  },
}

/** GET routes that answer 200 without parameters, with the UI or without (Automatic1111, api.py). */
const SERVED_PATHS = ['/sdapi/v1/progress', '/sdapi/v1/options', '/sdapi/v1/sd-models', '/sdapi/v1/memory']

/** What all instances share. */
interface Alike {
  readonly probe: Probe
  readonly environmentOf: EnvironmentOf
  readonly install: string
}

function draftAutomatic1111(
  context: PlanContext,
  settings: Automatic1111,
  gpu: PlannedGpu,
  alike: Alike,
): ServiceDraft {
  const { probe, environmentOf, install } = alike
  const name = `automatic1111-gpu${gpu.index}`
  const home = `${context.paths.workspace}/a1111_gpu${gpu.index}`
  const models = `${context.paths.shared}/models`
  const listen = bindAddress(settings.listen, context.target)
  const port = settings.basePort + gpu.index * settings.portIncrement + context.portOffset
  const environment = environmentOf({ ...pinToGpu(gpu), PYTHONUNBUFFERED: '1' })
  const flags = [...automatic1111Flags(home, models, listen, port, gpu), ...settings.args]
  return {
    service: {
      name,
      type: 'automatic1111',
      key: 'automatic1111',
      gpu: gpu.index,
      kind: 'longrun',
      ...simulated(context, 'automatic1111', name, gpu, {
        command: [...(settings.command ?? [settings.python, 'launch.py']), ...flags],
        flags,
        workingDirectory: install,
        requiredFiles: settings.command === undefined ? [`${install}/launch.py`] : [],
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
      ...settings.dependsOn.map((key, index) => ({ key, pointer: `/services/automatic1111/dependsOn/${index}` })),
      // Where the machine has models that must be there first.
      { key: 'models', pointer: null },
    ],
    claims: [{ port, purpose: name, pointer: '/services/automatic1111/basePort' }],
    routes: [
      {
        kind: 'service',
        path: `/a1111/${gpu.index}/`,
        service: name,
        host: 'forward',
        pointer: '/services/automatic1111',
      },
    ],
    directories: [home, `${models}/checkpoints`, `${models}/vae`, `${models}/loras`, `${models}/embeddings`],
    memory: instanceMemory(settings.gpuMemory, gpu, 'automatic1111'),
    provenance: () => ({
      ...gpuPortProvenance('automatic1111', gpu, settings.portIncrement, context),
      listen: { pointer: '/services/automatic1111/listen' },
      'probe.path': { pointer: '/services/automatic1111/healthEndpoint' },
      workingDirectory: { pointer: '/services/automatic1111/directory' },
      args: { pointer: '/services/automatic1111/args' },
      device: { pointer: '/machine/gpu/devices' },
      ...supervisionProvenance('/services/automatic1111'),
    }),
  }
}

/** Each instance has its own data and settings; models are shared with ComfyUI (Automatic1111, cmd_args.py). */
function automatic1111Flags(home: string, models: string, listen: string, port: number, gpu: PlannedGpu): string[] {
  return [
    '--port',
    String(port),
    ...(isWildcard(listen) ? ['--listen'] : ['--server-name', listen]),
    '--api',
    '--data-dir',
    home,
    '--ckpt-dir',
    `${models}/checkpoints`,
    '--vae-dir',
    `${models}/vae`,
    '--lora-dir',
    `${models}/loras`,
    '--embeddings-dir',
    `${models}/embeddings`,
    '--ui-settings-file',
    `${home}/config.json`,
    '--ui-config-file',
    `${home}/ui-config.json`,
    '--styles-file',
    `${home}/styles.csv`,
    '--no-download-sd-model',
    '--skip-version-check',
    ...(gpu.mock ? ['--use-cpu', 'all', '--no-half', '--skip-torch-cuda-test'] : []),
  ]
}
