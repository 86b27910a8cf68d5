import type { Custom, Machine } from '../../schema/machine.ts'
import type { Plan, PlannedProxy, PlannedService } from '../../schema/plan.ts'
import { childPointer } from '../load/origin.ts'
import { draftTasks, TASK_NAMES } from '../services/provisioning-task.ts'
import { BUILT_IN_KINDS, kindOf } from '../services/registry.ts'
import type { Finding, PlanContext, Provenance, ServiceDraft } from '../services/service-type.ts'
import { draftSidecar } from '../services/sidecar.ts'
import { draftSshd, planSsh } from '../services/sshd.ts'
import { planBundles } from './bundles.ts'
import { inStartOrder, resolveDependencies } from './dependencies.ts'
import { planDirectories } from './directories.ts'
import { checkGpuMemory, planGpus } from './gpus.ts'
import { planLinks } from './links.ts'
import { checkLiteralSecrets, checkMixedSecrets } from './literal-secrets.ts'
import { readLock } from './lock-file.ts'
import { checkInstanceNames, checkServiceName } from './names.ts'
import { checkOverlay } from './overlay.ts'
import { type PathOptions, placePath, planPaths } from './paths.ts'
import { checkPorts } from './ports.ts'
import { planProvisioning } from './provisioning.ts'
import { planProxy, proxyClaims } from './proxy.ts'
import { publicUrl } from './public-url.ts'
import { durationMs } from './quantities.ts'
import { checkRestartBudget } from './restart-budget.ts'
import { checkRoutes, planRoutes } from './routes.ts'
import { secretRegister } from './secrets.ts'
import { checkStopBudget, planStopBudget } from './stop-budget.ts'
import { planWorkerFiles } from './worker-files.ts'

export interface PlanOptions {
  readonly paths: PathOptions
  readonly simulate: boolean
  readonly portOffset: number
  /** The Node that runs machinegen's own programs. */
  readonly node: string
  readonly detectedGpus: number | null
  /** Text of the lock file beside the machine file; `null`: there is none, nothing is locked. */
  readonly lock: { readonly file: string; readonly text: string } | null
}

export interface PlanResult {
  /** Complete even where findings are errors, so that commands can still show it; emitters run only without errors. */
  readonly plan: Plan
  /** Values of secrets that stood in the machine file, by name. */
  readonly literalSecrets: ReadonlyMap<string, { readonly value: string }>
  /** By service name, then by field. Made when it is first asked for. */
  readonly provenance: () => ProvenanceByService
}

export type ProvenanceByService = Readonly<Record<string, Readonly<Record<string, Provenance>>>>

/** Resolves a machine file of the right shape. Pure; what is wrong goes to `report`. */
export function buildPlan(settings: Machine, options: PlanOptions, report: (finding: Finding) => void): PlanResult {
  const paths = planPaths(settings.paths, options.paths)
  const secrets = secretRegister(`${paths.config}/secrets`)
  const context: PlanContext = {
    settings,
    target: options.paths.target,
    simulate: options.simulate,
    portOffset: options.portOffset,
    node: options.node,
    gpus: planGpus(settings.machine, options.detectedGpus, report),
    paths,
    place: (path) => placePath(path, settings.paths.workspace, paths.workspace),
    secret: secrets.add,
    lock: readLock(options.lock, settings, report),
    report,
  }
  const provisioning = planProvisioning(context)
  const ssh = planSsh(context)
  const drafts = [
    ...draftServices(context),
    ...(ssh === null ? [] : [draftSshd(context, ssh)]),
    ...draftTasks(context, provisioning, ssh),
  ]
  const proxy = planProxy(context, drafts, planRoutes(drafts))
  const services = connectServices(context, drafts, proxy)
  checkMachine(context, drafts, services, proxy)
  checkLiteralSecrets([...secrets.literals().values()], report)
  checkMixedSecrets(secrets.mixed(), report)
  const stopBudget = planStopBudget(services, durationMs(settings.machine.stopGracePeriod))
  checkStopBudget(stopBudget, services, report)
  const plan: Plan = {
    version: 1,
    target: context.target,
    simulate: context.simulate,
    machine: {
      id: settings.machine.id,
      stopGracePeriodMs: stopBudget.stopGracePeriodMs,
      s6Overlay: settings.machine.s6Overlay,
    },
    gpus: context.gpus,
    paths,
    directories: planDirectories(context, drafts),
    links: planLinks(context, services),
    services,
    bundles: planBundles(services),
    proxy,
    sidecar: planSidecar(context, services, proxy),
    redis: planRedis(context),
    secrets: secrets.planned(),
    secretFiles: planWorkerFiles(context, services),
    provisioning,
    ssh,
    stopBudget,
  }
  let made: ProvenanceByService | undefined
  const provenance = (): ProvenanceByService => {
    made ??= provenanceOf(settings, drafts)
    return made
  }
  return { plan, literalSecrets: secrets.literals(), provenance }
}

/** The sidecar first, then the built-in services, then the others by name: the order of the file does not matter. */
function draftServices(context: PlanContext): ServiceDraft[] {
  const { services } = context.settings
  const builtIn = BUILT_IN_KINDS.map((kind) => kind.key).filter((key) => services[key] !== undefined)
  const others = Object.keys(services)
    .filter((key) => !builtIn.includes(key))
    .sort()
  for (const key of others) checkServiceName(key, context.report)
  const enabled = [...builtIn, ...others].filter((key) => (services[key] as Custom).enabled)
  if (isTooMany(context, enabled)) return [draftSidecar(context)]
  for (const key of enabled) warnWithoutGpu(context, key)
  return [draftSidecar(context), ...enabled.flatMap((key) => kindOf(key).expand(context, key))]
}

/** More than any machine has: 64 GPUs with all built-in services make 258. A tree of a million files helps nobody. */
const MAX_SERVICES = 1000

function isTooMany(context: PlanContext, keys: readonly string[]): boolean {
  const { services } = context.settings
  const count = keys.reduce((sum, key) => sum + ((services[key] as Custom).perGpu ? context.gpus.length : 1), 0)
  if (count <= MAX_SERVICES) return false
  context.report({
    code: 'INVALID_VALUE',
    severity: 'error',
    pointer: '/services',
    part: 'key',
    message: `cannot run ${count} services on one machine: ${MAX_SERVICES} are the most`,
  })
  return true
}

function warnWithoutGpu(context: PlanContext, key: string): void {
  const { perGpu } = context.settings.services[key] as Partial<Custom>
  // Built-in services that can be one per GPU have their single one on GPU 0.
  const needsGpu = perGpu === true || (perGpu === false && kindOf(key).key !== '*')
  if (!needsGpu || context.gpus.length > 0 || context.settings.machine.gpu.count === 'auto') return
  context.report({
    code: 'NO_GPU',
    severity: 'warning',
    pointer: childPointer('/services', key),
    part: 'key',
    message: `cannot start "${key}": it runs once per GPU, and the machine has none`,
    hint: `set machine.gpu.mock to true and count to 1 for a machine without a GPU, or disable "${key}"`,
    related: [{ pointer: '/machine/gpu/count', message: 'the machine has 0 GPUs here' }],
  })
}

/** Fills in what a service waits for and in what order services stop. */
function connectServices(
  context: PlanContext,
  drafts: readonly ServiceDraft[],
  proxy: PlannedProxy | null,
): PlannedService[] {
  const { services } = context.settings
  const keys = new Map(Object.entries(services).map(([key, value]) => [key, { enabled: (value as Custom).enabled }]))
  // A custom service may wait for what a task fetches.
  for (const name of TASK_NAMES)
    if (drafts.some(({ service }) => service.key === name)) keys.set(name, { enabled: true })
  const waitsFor = resolveDependencies(drafts, keys, context.report)
  const routed = new Set(proxy?.routes.flatMap((route) => (route.kind === 'service' ? [route.service] : [])) ?? [])
  const connected = drafts.map(({ service }) => {
    const waits = waitsFor.get(service.name) ?? []
    // What is behind the proxy stops before it: requests in flight end with an answer.
    const stopsBefore = [...waits, ...(routed.has(service.name) ? ['nginx'] : []), 'sidecar']
    return {
      ...service,
      waitsFor: waits,
      stopsBefore: service.name === 'sidecar' ? [] : [...new Set(stopsBefore)].filter((name) => name !== service.name),
    }
  })
  return inStartOrder(connected)
}

function checkMachine(
  context: PlanContext,
  drafts: readonly ServiceDraft[],
  services: readonly PlannedService[],
  proxy: PlannedProxy | null,
): void {
  const { report, settings } = context
  checkInstanceNames(drafts, report)
  checkPorts([...drafts.flatMap((draft) => draft.claims), ...proxyClaims(proxy)], report)
  checkRoutes(drafts, proxy?.healthPath ?? '/health', report)
  checkGpuMemory(context.gpus, drafts, report)
  checkRestartBudget(services, report)
  checkOverlay(settings.machine.s6Overlay, report)
}

function planSidecar(
  context: PlanContext,
  services: readonly PlannedService[],
  proxy: PlannedProxy | null,
): Plan['sidecar'] {
  const sidecar = services.find((service) => service.type === 'sidecar')
  const { token, allowedOrigins } = context.settings.sidecar
  const where = { listen: sidecar?.listen ?? '', address: sidecar?.address ?? '', port: sidecar?.port ?? 0 }
  return {
    ...where,
    tokenSecret: context.secret('/sidecar/token', 'api-token', token),
    publicUrl: publicUrl(context.settings.sidecar.publicUrl, where, proxy),
    allowedOrigins,
  }
}

function planRedis({ settings, secret, place }: PlanContext): Plan['redis'] {
  const { url, certificateAuthority, announcements } = settings.redis
  return {
    urlSecret: secret('/redis/url', 'redis-url', url),
    certificateAuthority: certificateAuthority === undefined ? null : place(certificateAuthority),
    announcements: {
      startupEvents: announcements.startupEvents,
      machineStatus: announcements.machineStatus,
      intervalMs: durationMs(announcements.interval),
    },
  }
}

function provenanceOf(settings: Machine, drafts: readonly ServiceDraft[]): ProvenanceByService {
  return Object.fromEntries(
    drafts.map(({ service, dependsOn, provenance }) => [
      service.name,
      {
        ...provenance(),
        ...environmentProvenance(settings, service),
        ...(dependsOn.some(({ pointer }) => pointer !== null)
          ? { waitsFor: { pointer: ['services', service.key, 'dependsOn'].reduce<string>(childPointer, '') } }
          : {}),
      },
    ]),
  )
}

/** The variables that the user set: the others are the compiler's. */
function environmentProvenance(settings: Machine, service: PlannedService): Record<string, Provenance> {
  const { env = {} } = (settings.services[service.key] ?? {}) as Partial<Custom>
  return Object.fromEntries(
    Object.keys(env).map((name) => [
      `${Object.hasOwn(service.secretEnvironment, name) ? 'secretEnvironment' : 'environment'}.${name}`,
      { pointer: ['services', service.key, 'env', name].reduce<string>(childPointer, '') },
    ]),
  )
}
