import { bindAddress, reachableAddress } from '../plan/addresses.ts'
import { durationMs } from '../plan/quantities.ts'
import type { PlanContext, ServiceDraft } from './service-type.ts'
import { planLogs } from './supervision.ts'

/** Enough for 64 services with room to spare; measured at half of it. */
const HEAP_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=64']

/** The program that reports on the machine: first up, last down, started again for ever. */
export function draftSidecar(context: PlanContext): ServiceDraft {
  const { sidecar } = context.settings
  const listen = bindAddress(sidecar.listen, context.target)
  const port = sidecar.port + context.portOffset
  return {
    service: {
      name: 'sidecar',
      type: 'sidecar',
      key: 'sidecar',
      gpu: null,
      kind: 'longrun',
      command: [
        context.node,
        ...HEAP_FLAGS,
        `${context.paths.programs}/sidecar.js`,
        '--plan',
        `${context.paths.config}/plan.json`,
      ],
      workingDirectory: null,
      requiredFiles: [],
      user: null,
      environment: {},
      secretEnvironment: {},
      threadShare: null,
      listen,
      address: reachableAddress(listen),
      port,
      probe: null,
      waitsFor: [],
      stopsBefore: [],
      restart: null,
      startupTimeoutMs: 10_000,
      liveness: { intervalMs: 10_000, timeoutMs: 5_000, failures: 3 },
      stop: { signal: 'SIGTERM', timeoutMs: durationMs(sidecar.stop.timeout) },
      onDependencyRestart: 'keep',
      optional: false,
      logs: planLogs(context, 'sidecar', sidecar.logs),
      readiness: null,
      workerId: null,
    },
    dependsOn: [],
    claims: [{ port, purpose: 'sidecar', pointer: '/sidecar/port' }],
    routes: [],
    directories: [],
    memory: null,
    provenance: () => ({
      listen: { pointer: '/sidecar/listen' },
      port: { pointer: '/sidecar/port', ...offsetNote(context) },
      'stop.timeoutMs': { pointer: '/sidecar/stop/timeout' },
      'logs.directory': { pointer: '/paths/logs' },
      'logs.maxSizeBytes': { pointer: '/sidecar/logs/maxSize' },
      'logs.maxFiles': { pointer: '/sidecar/logs/maxFiles' },
    }),
  }
}

/** How `explain` tells of `--port-offset`. */
export function offsetNote(context: PlanContext): { note?: string } {
  return context.portOffset === 0 ? {} : { note: `+ ${context.portOffset} (port offset)` }
}
