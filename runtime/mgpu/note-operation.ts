import { userInfo } from 'node:os'
import type { Environment } from '../../schema/interpolation.ts'
import type { MachinePaths } from '../../schema/plan.ts'
import { spoolDirectory, spoolEvent } from '../shared/event-spool.ts'

export interface Operation {
  readonly verb: string
  /** The one name that was given, `null` for all. */
  readonly name: string | null
  readonly gpu: number | null
  readonly services: readonly string[]
  readonly reason: string | null
}

/**
 * Leaves the event that somebody did something, for the sidecar and whoever listens to it. Gives why that could not be
 * done, if so: it hinders nobody.
 */
export function noteOperation(
  paths: Pick<MachinePaths, 'state'>,
  { verb, name, gpu, services, reason }: Operation,
  environment: Environment,
): string | null {
  const subject = services.length === 1 ? { service: services[0]! } : {}
  const context = { operator: operatorName(environment), reason, services, name: name ?? 'all' }
  try {
    const draft = {
      type: 'operator.action',
      ...subject,
      ...(gpu === null ? {} : { gpu }),
      status: verb,
      context,
    } as const
    spoolEvent(spoolDirectory(paths), draft, Date.now())
    return null
  } catch (error) {
    return `cannot note in the events that this was done: ${(error as Error).message}`
  }
}

/** `mgpu alice`: who is at the keyboard, whoever she became for it. */
export function operatorName({ SUDO_USER: before }: Environment): string {
  return `mgpu ${before || ownName()}`
}

function ownName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown')
  }
}
