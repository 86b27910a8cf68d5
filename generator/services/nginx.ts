import { bindAddress, reachableAddress } from '../plan/addresses.ts'
import type { PlanContext, ServiceDraft, ServiceKind } from './service-type.ts'
import { offsetNote } from './sidecar.ts'
import { planSupervision, supervisionProvenance } from './supervision.ts'

/** nginx itself answers here, so that its probe does not depend on what is behind it. */
export const ALIVE_PATH = '/-/proxy'

/**
 * s6 restarts a service at once if it was ready for a second, and pauses a second otherwise (s6-supervise). The run
 * script announces readiness just before it execs nginx: a port that a stranger holds then costs restarts of nginx,
 * never the boot of the services that stop before it.
 */
const READINESS = { fd: 3, timeoutUpMs: 3000 }

export const nginx: ServiceKind<'nginx'> = {
  key: 'nginx',
  type: 'nginx',
  ownedFlags: [],
  ownedVariables: [],
  expand: (context) => {
    const settings = context.settings.services.nginx
    return settings === undefined ? [] : [draftNginx(context, settings)]
  },
}

type Settings = NonNullable<PlanContext['settings']['services']['nginx']>

function draftNginx(context: PlanContext, settings: Settings): ServiceDraft {
  const listen = bindAddress(settings.listen, context.target)
  const port = settings.port + context.portOffset
  const configFile = `${context.paths.config}/nginx/nginx.conf`
  return {
    service: {
      name: 'nginx',
      type: 'nginx',
      key: 'nginx',
      gpu: null,
      kind: 'longrun',
      command: ['nginx', '-c', configFile, '-p', `${context.paths.run}/nginx`, '-e', 'stderr'],
      workingDirectory: null,
      requiredFiles: [],
      user: null,
      environment: {},
      secretEnvironment: {},
      threadShare: null,
      listen,
      address: reachableAddress(listen),
      port,
      probe: { kind: 'http', path: ALIVE_PATH, expect: 'proxy' },
      waitsFor: [],
      stopsBefore: [],
      ...planSupervision(context, 'nginx', settings),
      readiness: READINESS,
      workerId: null,
    },
    dependsOn: [],
    claims: [
      { port, purpose: 'nginx', pointer: '/services/nginx/port' },
      ...(settings.tls === undefined
        ? []
        : [
            {
              port: settings.tls.port + context.portOffset,
              purpose: 'nginx (TLS)',
              pointer: '/services/nginx/tls/port',
            },
          ]),
    ],
    routes: [{ kind: 'sidecar', path: '/api/', pointer: '/services/nginx' }],
    directories: [`${context.paths.run}/nginx`, `${context.paths.logs}/nginx-access`],
    memory: null,
    provenance: () => ({
      port: { pointer: '/services/nginx/port', ...offsetNote(context) },
      listen: { pointer: '/services/nginx/listen' },
      ...supervisionProvenance('/services/nginx'),
    }),
  }
}
