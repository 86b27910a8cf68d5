import type { PlannedSsh } from '../../schema/plan.ts'
import { bindAddress, reachableAddress } from '../plan/addresses.ts'
import { isReference, literalText } from './program.ts'
import type { PlanContext, ServiceDraft } from './service-type.ts'
import { offsetNote } from './sidecar.ts'
import { planLogs } from './supervision.ts'

/** sshd starts itself anew for each connection, which takes its whole path. */
const PROGRAM = '/usr/sbin/sshd'

const RESTART = { maxAttempts: 5, windowMs: 600_000, backoff: { initialMs: 1000, maxMs: 30_000, factor: 2 } }
const LOGS = { maxSize: '5MB', maxFiles: 5 }

/** The SSH server of the machine; `null` where it has none. */
export function planSsh(context: PlanContext): PlannedSsh | null {
  const { ssh } = context.settings.access
  if (ssh?.enabled !== true) return null
  const { paths, place, target, portOffset } = context
  const isDeferred = isReference(ssh.authorizedKeys)
  return {
    program: PROGRAM,
    port: ssh.port + portOffset,
    listen: bindAddress(ssh.listen, target),
    authorizedKeys: isDeferred || ssh.authorizedKeys === '' ? null : literalText(ssh.authorizedKeys),
    authorizedKeysSecret: isDeferred
      ? context.secret('/access/ssh/authorizedKeys', 'ssh-authorized-keys', ssh.authorizedKeys)
      : null,
    authorizedKeysSource: ssh.authorizedKeysFile === undefined ? null : place(ssh.authorizedKeysFile),
    hostKey: `${paths.state}/ssh/host_ed25519_key`,
    authorizedKeysFile: `${paths.run}/ssh/authorized_keys`,
    configFile: `${paths.config}/ssh/sshd_config`,
  }
}

/** Nothing waits for it, and it waits for nothing but its own keys. */
export function draftSshd(context: PlanContext, ssh: PlannedSsh): ServiceDraft {
  const { listen, port } = ssh
  return {
    service: {
      name: 'sshd',
      type: 'sshd',
      key: 'sshd',
      gpu: null,
      kind: 'longrun',
      command: [ssh.program, '-D', '-e', '-f', ssh.configFile],
      workingDirectory: null,
      requiredFiles: [ssh.program],
      user: null,
      environment: {},
      secretEnvironment: {},
      threadShare: null,
      listen,
      address: reachableAddress(listen),
      port,
      probe: { kind: 'tcp' },
      waitsFor: [],
      stopsBefore: [],
      restart: RESTART,
      startupTimeoutMs: 10_000,
      liveness: { intervalMs: 10_000, timeoutMs: 5000, failures: 3 },
      stop: { signal: 'SIGTERM', timeoutMs: 2000 },
      onDependencyRestart: 'keep',
      optional: true,
      logs: planLogs(context, 'sshd', LOGS),
      readiness: null,
      workerId: null,
    },
    dependsOn: [{ key: 'ssh-access', pointer: null }],
    claims: [{ port, purpose: 'sshd', pointer: '/access/ssh/port' }],
    routes: [],
    directories: [],
    memory: null,
    provenance: () => ({
      port: { pointer: '/access/ssh/port', ...offsetNote(context) },
      listen: { pointer: '/access/ssh/listen' },
      'logs.directory': { pointer: '/paths/logs' },
    }),
  }
}
