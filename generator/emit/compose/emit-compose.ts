import { parseTemplate, templateVariables } from '../../../schema/interpolation.ts'
import type { Plan, PlannedGpu } from '../../../schema/plan.ts'
import type { Artifact } from '../../artifact.ts'
import { composeString } from '../quote/compose.ts'

/** Where the compose file's own Redis answers; only the machine reaches it. */
const OWN_REDIS_URL = 'redis://redis:6379/0'

/**
 * A compose file that runs a machine from its image (`MACHINE_IMAGE`): its GPUs, ports, volume and grace period, and a
 * Redis where the machine takes its URL from a variable. No `init`: s6-overlay must be PID 1.
 */
export function emitCompose(plan: Plan, marker: string): Artifact[] {
  const redisVariable = variableOfRedis(plan)
  const lines = [
    `# ${marker}`,
    '# MACHINE_IMAGE names the image; secrets come from the environment of the shell or from .env beside this file.',
    `name: ${composeString(plan.machine.id)}`,
    'services:',
    '  machine:',
    '    image: "${MACHINE_IMAGE:-machine}"',
    `    hostname: ${composeString(plan.machine.id)}`,
    '    restart: unless-stopped',
    `    stop_grace_period: ${Math.ceil(plan.machine.stopGracePeriodMs / 1000)}s`,
    ...environment(plan, redisVariable),
    ...list('ports', publishedPorts(plan)),
    ...list('volumes', [`workspace:${plan.paths.workspace}`]),
    // s6 runs programs from there; state of a run that ended must not meet the next one.
    ...list('tmpfs', ['/run:exec,mode=755']),
    // PyTorch's data loaders pass tensors through it; an engine's default is 64 MB.
    '    shm_size: 8gb',
    '    ulimits: { nofile: { soft: 65536, hard: 65536 } }',
    ...gpuReservation(plan.gpus),
    ...(redisVariable === null ? [] : ['    depends_on: [redis]', ...REDIS_SERVICE]),
    'volumes:',
    '  workspace: {}',
    ...(redisVariable === null ? [] : ['  redis: {}']),
  ]
  return [{ path: 'compose.yaml', mode: 0o644, content: `${lines.join('\n')}\n`, source: 'compose' }]
}

const REDIS_SERVICE = [
  '  redis:',
  '    image: redis:7-alpine',
  '    command: [redis-server, --appendonly, "yes"]',
  '    restart: unless-stopped',
  '    volumes: ["redis:/data"]',
]

function list(name: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : [`    ${name}:`, ...items.map((item) => `      - ${composeString(item)}`)]
}

/** A variable without a value is passed on as it is; `NAME_FILE` names a file that holds it, as engines mount secrets. */
function environment(plan: Plan, redisVariable: string | null): string[] {
  const names = new Set(
    plan.secrets.flatMap(({ source }) => (source.kind === 'reference' ? variablesOf(source.template) : [])),
  )
  const lines = [...names]
    .sort()
    .flatMap((name) => [
      name === redisVariable ? `      ${name}: "\${${name}:-${OWN_REDIS_URL}}"` : `      ${name}:`,
      `      ${name}_FILE:`,
    ])
  return lines.length === 0 ? [] : ['    environment:', ...lines]
}

const variablesOf = (template: string): readonly string[] => templateVariables(parseTemplate(template))

/** The variable that holds the URL of Redis; `null` where the machine file says the URL itself, or none. */
function variableOfRedis(plan: Plan): string | null {
  const secret = plan.secrets.find(({ name }) => name === plan.redis?.urlSecret)
  if (secret?.source.kind !== 'reference') return null
  const [name, ...others] = variablesOf(secret.source.template)
  return name !== undefined && others.length === 0 ? name : null
}

/** Every port on which something outside the container is answered. */
function publishedPorts({ proxy, services, sidecar }: Plan): string[] {
  const isOpen = (listen: string | null): boolean => listen !== null && !/^(127\.|::1$|localhost$)/.test(listen)
  const proxyPorts =
    proxy === null || !isOpen(proxy.listen)
      ? []
      : [proxy.port, ...(proxy.tls === null ? [] : [proxy.tls.port]), ...proxy.gpuPorts.map(({ port }) => port)]
  const others = services.filter(({ type, listen }) => type !== 'nginx' && type !== 'sidecar' && isOpen(listen))
  const ports = [
    ...proxyPorts,
    ...others.flatMap(({ port }) => (port === null ? [] : [port])),
    ...(isOpen(sidecar.listen) ? [sidecar.port] : []),
  ]
  return [...new Set(ports)].map((port) => `${port}:${port}`)
}

/**
 * Of GPUs that are pinned by UUID the container gets those. An engine numbers what it hands over anew, so that a choice
 * of indexes is only right where all GPUs are handed over.
 */
function gpuReservation(gpus: readonly PlannedGpu[]): string[] {
  const real = gpus.filter(({ mock }) => !mock)
  if (real.length === 0) return []
  const isByUuid = real.every(({ device }) => !/^\d+$/.test(device))
  const isFromFirst = real.every(({ device }, index) => device === String(index))
  const choice = isByUuid
    ? `device_ids: [${real.map(({ device }) => composeString(device)).join(', ')}]`
    : `count: ${isFromFirst ? real.length : 'all'}`
  return [
    '    deploy:',
    '      resources:',
    '        reservations:',
    `          devices: [{ driver: nvidia, ${choice}, capabilities: [gpu] }]`,
  ]
}
