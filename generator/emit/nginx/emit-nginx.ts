import { posix } from 'node:path'
import type { Plan, PlannedProxy, ProxyRoute } from '../../../schema/plan.ts'
import type { Artifact } from '../../artifact.ts'
import { hostAndPort } from '../../plan/addresses.ts'
import { artifactPath } from '../artifact-path.ts'
import { renderTemplate } from '../template.ts'
import { balancersOf } from './balancers.ts'
import { findService, healthLocationsOf, locationOf, upstreamsOf } from './routes.ts'

/** What is left of the stop timeout when nginx cuts the last connections, for it to end by itself. */
const STOP_MARGIN_MS = 1000
const TEMPORARY_DIRECTORIES = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/**
 * nginx.conf and the pages beside it; nothing where the machine has no proxy.
 *
 * @param marker One line that says where the files come from.
 */
export function emitNginx(plan: Plan, marker: string): Artifact[] {
  const { proxy } = plan
  if (proxy === null) return []
  const directory = posix.dirname(proxy.configFile)
  const routes = proxy.routes.filter((route) => route.kind !== 'balanced' || route.services.length > 0)
  const view = { marker, ...settings(plan, proxy, directory), ...locations(plan, proxy, routes) }
  const page = (name: string) => file(`${directory}/${name}.html`, renderTemplate(`nginx-${name}.html`, view))
  return [file(proxy.configFile, renderTemplate('nginx.conf', view)), page('index'), page('starting'), page('refused')]

  function file(path: string, content: string): Artifact {
    return { path: artifactPath(plan, path), mode: 0o644, content, source: 'nginx' }
  }
}

function settings(plan: Plan, proxy: PlannedProxy, directory: string) {
  const nginx = plan.services.find((service) => service.type === 'nginx')
  const stopTimeoutMs = nginx?.stop.timeoutMs ?? 5000
  const authRequired = proxy.auth.mode === 'required'
  return {
    workerUser: proxy.workerUser,
    pidFile: proxy.pidFile,
    shutdownTimeout: `${Math.max(stopTimeoutMs - STOP_MARGIN_MS, Math.ceil(stopTimeoutMs / 2))}ms`,
    temporaryPaths: TEMPORARY_DIRECTORIES.map((name) => ({ name, path: `${proxy.temporaryDirectory}/${name}` })),
    pageDirectory: directory,
    accessLog: proxy.accessLog,
    authRequired,
    realm: plan.machine.id,
    htpasswd: proxy.credentialFiles.htpasswd,
    bearerMap: proxy.credentialFiles.bearerMap,
    maxBodySize: String(proxy.maxBodyBytes),
    bodyTooLarge: `cannot accept this body: it has more than ${proxy.maxBodyBytes} bytes`,
    listen: hostAndPort(proxy.listen, proxy.port),
    tls: proxy.tls && { ...proxy.tls, listen: hostAndPort(proxy.listen, proxy.tls.port) },
    machineId: plan.machine.id,
  }
}

function locations(plan: Plan, proxy: PlannedProxy, routes: readonly ProxyRoute[]) {
  const balancers = balancersOf(plan, routes)
  const own = new Set([proxy.alivePath, proxy.healthPath])
  const routeLocations = routes.map((route) => locationOf(plan, route, balancers.get(route.path)?.variable ?? null))
  return {
    alivePath: proxy.alivePath,
    healthPath: proxy.healthPath === proxy.alivePath ? null : proxy.healthPath,
    indexPath: own.has('/') ? null : '/',
    upstreams: upstreamsOf(plan, routes),
    balancers: [...balancers.values()],
    routes: routeLocations,
    healthLocations: healthLocationsOf(routes, own),
    gpuPorts: proxy.gpuPorts.map(({ port, service }) => ({
      port: String(port),
      listen: hostAndPort(proxy.listen, port),
      service: findService(plan, service).name,
    })),
  }
}
