import type { Custom } from '../../schema/machine.ts'
import type { PlannedGpu, Probe } from '../../schema/plan.ts'
import { childPointer } from '../load/origin.ts'
import { sizeBytes } from '../plan/quantities.ts'
import { instanceGpus, pinToGpu, pinToGpus, selectGpus } from './gpu-instances.ts'
import { gpuPortProvenance } from './gpu-service.ts'
import { PINNING_VARIABLES, planEnvironment } from './program.ts'
import type { PlanContext, ServiceDraft, ServiceKind } from './service-type.ts'
import { planSupervision, supervisionProvenance } from './supervision.ts'

/** A service that says nothing of its readiness and has no port counts as ready after this time. */
const UPTIME_GRACE_MS = 1000

export const custom: ServiceKind = {
  key: '*',
  type: 'custom',
  ownedFlags: [],
  ownedVariables: [...PINNING_VARIABLES, 'PORT'],
  expand: (context, key) => {
    const settings = context.settings.services[key] as Custom
    if (!settings.perGpu) return [draftCustom(context, key, settings, null)]
    return instanceGpus(context, true).map((gpu) => draftCustom(context, key, settings, gpu))
  },
}

function draftCustom(context: PlanContext, key: string, settings: Custom, gpu: PlannedGpu | null): ServiceDraft {
  const at = (...keys: (string | number)[]) => ['services', key, ...keys].reduce<string>(childPointer, '')
  const name = gpu === null ? key : `${key}-gpu${gpu.index}`
  const gpus = gpu === null ? selectGpus(context, key, settings.gpus) : [gpu]
  const port = settings.port === undefined ? null : settings.port + (gpu?.index ?? 0) + context.portOffset
  const environment = planEnvironment(context, custom, key, settings.env, {
    ...(gpu === null ? pinToSome(gpus) : pinToGpu(gpu)),
    ...(port === null ? {} : { PORT: String(port) }),
  })
  return {
    service: {
      name,
      type: 'custom',
      key,
      gpu: gpu?.index ?? null,
      kind: settings.task ? 'task' : 'longrun',
      command: [...settings.command, ...settings.args],
      workingDirectory: settings.directory === undefined ? context.paths.workspace : context.place(settings.directory),
      requiredFiles: [],
      user: settings.user ?? null,
      ...environment,
      threadShare: gpu === null ? null : context.gpus.length,
      listen: null,
      address: port === null ? null : '127.0.0.1',
      port,
      probe: probeOf(settings),
      waitsFor: [],
      stopsBefore: [],
      ...planSupervision(context, name, settings),
      readiness: null,
      workerId: null,
    },
    dependsOn: settings.dependsOn.map((dependency, index) => ({ key: dependency, pointer: at('dependsOn', index) })),
    claims: port === null ? [] : [{ port, purpose: name, pointer: at('port') }],
    routes: routesOf(context, key, settings, name, gpu, at('route')),
    directories: [],
    memory:
      settings.gpuMemory === undefined
        ? null
        : { gpus: gpus.map((one) => one.index), bytes: sizeBytes(settings.gpuMemory), pointer: at('gpuMemory') },
    provenance: () => ({
      command: { pointer: at('command') },
      args: { pointer: at('args') },
      ...(port === null ? {} : gpuPortProvenance(key, gpu ?? NO_GPU, 1, context, 'port')),
      ...(settings.directory === undefined ? {} : { workingDirectory: { pointer: at('directory') } }),
      ...(settings.health === undefined ? {} : { 'probe.path': { pointer: at('health', 'path') } }),
      ...supervisionProvenance(at()),
    }),
  }
}

const NO_GPU = { index: 0 } as PlannedGpu

function pinToSome(gpus: readonly PlannedGpu[]): Record<string, string> {
  return gpus.some((gpu) => !gpu.mock) ? pinToGpus(gpus) : {}
}

function probeOf(settings: Custom): Probe {
  if (settings.task) return { kind: 'task' }
  if (settings.health !== undefined) return { kind: 'http', path: settings.health.path, expect: 'status' }
  return settings.port === undefined ? { kind: 'uptime', graceMs: UPTIME_GRACE_MS } : { kind: 'tcp' }
}

function routesOf(
  context: PlanContext,
  key: string,
  settings: Custom,
  service: string,
  gpu: PlannedGpu | null,
  pointer: string,
): ServiceDraft['routes'] {
  if (settings.route === undefined) return []
  if (settings.port === undefined) {
    context.report({
      code: 'INVALID_VALUE',
      severity: 'error',
      pointer,
      message: `cannot route "${settings.route}" to "${key}": it has no port`,
      hint: 'add port',
    })
    return []
  }
  const path = gpu === null ? settings.route : `${settings.route}${gpu.index}/`
  return [{ kind: 'service', path, service, host: 'forward', pointer }]
}
