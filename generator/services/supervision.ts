import type { JobLiveness, Liveness, Logs, Restart } from '../../schema/machine.ts'
import type { PlannedService } from '../../schema/plan.ts'
import { childPointer, type Pointer } from '../load/origin.ts'
import { durationMs, sizeBytes } from '../plan/quantities.ts'
import type { PlanContext, Provenance } from './service-type.ts'

/** The settings that all services share; types without a program of the user's lack some. */
export interface SupervisionSettings {
  readonly restart: Restart
  readonly startup: { readonly timeout: string }
  readonly liveness: Liveness | JobLiveness
  readonly stop: { readonly signal: string; readonly timeout: string }
  readonly onDependencyRestart: 'restart' | 'keep'
  readonly optional: boolean
  readonly logs: Logs
}

export type Supervision = Pick<
  PlannedService,
  'restart' | 'startupTimeoutMs' | 'liveness' | 'stop' | 'onDependencyRestart' | 'optional' | 'logs'
>

/** How an instance is supervised, from its settings. */
export function planSupervision(context: PlanContext, name: string, settings: SupervisionSettings): Supervision {
  const alike = alikeOf.get(settings) ?? superviseAlike(settings)
  alikeOf.set(settings, alike)
  return { ...alike, logs: planLogs(context, name, settings.logs) }
}

/** Of the settings at hand: what all instances of a service share is read once. */
const alikeOf = new WeakMap<SupervisionSettings, Omit<Supervision, 'logs'>>()

function superviseAlike(settings: SupervisionSettings): Omit<Supervision, 'logs'> {
  const { restart, liveness, stop } = settings
  return {
    restart: {
      maxAttempts: restart.maxAttempts,
      windowMs: durationMs(restart.window),
      backoff: {
        initialMs: durationMs(restart.backoff.initial),
        maxMs: durationMs(restart.backoff.max),
        factor: restart.backoff.factor,
      },
    },
    startupTimeoutMs: durationMs(settings.startup.timeout),
    liveness: {
      intervalMs: durationMs(liveness.interval),
      timeoutMs: durationMs(liveness.timeout),
      failures: liveness.failures,
      ...('stall' in liveness ? { stallMs: durationMs(liveness.stall) } : {}),
    },
    stop: { signal: stop.signal, timeoutMs: durationMs(stop.timeout) },
    onDependencyRestart: settings.onDependencyRestart,
    optional: settings.optional,
  }
}

export function planLogs(context: PlanContext, name: string, logs: Logs): PlannedService['logs'] {
  return { directory: `${context.paths.logs}/${name}`, maxSizeBytes: sizeBytes(logs.maxSize), maxFiles: logs.maxFiles }
}

/** Where the fields of `planSupervision` come from. */
export function supervisionProvenance(service: Pointer): Record<string, Provenance> {
  const at = (...keys: string[]): Provenance => ({ pointer: keys.reduce(childPointer, service) })
  return {
    'restart.maxAttempts': at('restart', 'maxAttempts'),
    'restart.windowMs': at('restart', 'window'),
    'restart.backoff.initialMs': at('restart', 'backoff', 'initial'),
    'restart.backoff.maxMs': at('restart', 'backoff', 'max'),
    'restart.backoff.factor': at('restart', 'backoff', 'factor'),
    startupTimeoutMs: at('startup', 'timeout'),
    'liveness.intervalMs': at('liveness', 'interval'),
    'liveness.timeoutMs': at('liveness', 'timeout'),
    'liveness.failures': at('liveness', 'failures'),
    'liveness.stallMs': at('liveness', 'stall'),
    'stop.signal': at('stop', 'signal'),
    'stop.timeoutMs': at('stop', 'timeout'),
    onDependencyRestart: at('onDependencyRestart'),
    optional: at('optional'),
    'logs.directory': { pointer: '/paths/logs' },
    'logs.maxSizeBytes': at('logs', 'maxSize'),
    'logs.maxFiles': at('logs', 'maxFiles'),
  }
}
