import type { PlannedProxy, PlannedService, ProxyRoute } from '../../schema/plan.ts'
import { ALIVE_PATH } from '../services/nginx.ts'
import type { PlanContext, ServiceDraft } from '../services/service-type.ts'
import { bindAddress } from './addresses.ts'
import type { PortClaim } from './ports.ts'
import { sizeBytes } from './quantities.ts'

/** What nginx serves, or `null` where it does not run. */
export function planProxy(
  context: PlanContext,
  drafts: readonly ServiceDraft[],
  routes: readonly ProxyRoute[],
): PlannedProxy | null {
  const nginx = context.settings.services.nginx
  if (!nginx?.enabled) return null
  const { paths, portOffset } = context
  const listen = bindAddress(nginx.listen, context.target)
  warnIfOpen(context, nginx.auth.mode, listen)
  return {
    listen,
    port: nginx.port + portOffset,
    tls:
      nginx.tls === undefined
        ? null
        : { port: nginx.tls.port + portOffset, certificate: nginx.tls.certificate, key: nginx.tls.key },
    healthPath: nginx.healthEndpoint,
    alivePath: ALIVE_PATH,
    auth: {
      mode: nginx.auth.mode,
      user: nginx.auth.user,
      passwordSecret: context.secret('/services/nginx/auth/password', 'proxy-password', nginx.auth.password),
      tokenSecret: context.secret('/services/nginx/auth/token', 'proxy-token', nginx.auth.token),
    },
    credentialFiles: { htpasswd: `${paths.run}/nginx/htpasswd`, bearerMap: `${paths.run}/nginx/bearer.map` },
    maxBodyBytes: sizeBytes(nginx.maxBodySize),
    routes,
    gpuPorts: gpuPortsOf(context, drafts),
    configFile: `${paths.config}/nginx/nginx.conf`,
    pidFile: `${paths.run}/nginx/nginx.pid`,
    // On a laptop the state directory may be below a home that only its owner can enter.
    workerUser: context.target === 'local' ? 'root' : nginx.user,
    accessLog: '/dev/stdout',
    accessLogDirectory: `${paths.logs}/nginx-access`,
    temporaryDirectory: `${paths.run}/nginx`,
  }
}

function warnIfOpen(context: PlanContext, mode: 'required' | 'off', listen: string): void {
  if (mode === 'required' || listen.startsWith('127.') || listen === '::1' || listen === 'localhost') return
  context.report({
    code: 'PROXY_OPEN',
    severity: 'warning',
    pointer: '/services/nginx/auth/mode',
    message: `cannot keep strangers out: nginx listens on "${listen}" and asks for no credential`,
    hint: 'set services.nginx.auth.mode to "required", or services.nginx.listen to "127.0.0.1"',
  })
}

/** The first machines had a port in front of each ComfyUI (3188+n) and each Automatic1111 (2001+n). */
function gpuPortsOf(context: PlanContext, drafts: readonly ServiceDraft[]): PlannedProxy['gpuPorts'] {
  const bases = context.settings.services.nginx?.gpuPorts
  return drafts.flatMap(({ service }) => {
    const base = gpuPortBase(bases, service)
    return base === null || service.gpu === null
      ? []
      : [{ port: base + service.gpu + context.portOffset, service: service.name }]
  })
}

function gpuPortBase(
  bases: { readonly comfyui: number | false; readonly automatic1111: number | false } | undefined,
  service: PlannedService,
): number | null {
  if (service.type !== 'comfyui' && service.type !== 'automatic1111') return null
  return bases?.[service.type] || null
}

export function proxyClaims(proxy: PlannedProxy | null): PortClaim[] {
  return (proxy?.gpuPorts ?? []).map(({ port, service }) => ({
    port,
    purpose: `nginx (${service})`,
    pointer: `/services/nginx/gpuPorts/${service.startsWith('comfyui') ? 'comfyui' : 'automatic1111'}`,
  }))
}
