import { readFileSync } from 'node:fs'
import type { Plan, PlannedService } from '../../schema/plan.ts'

/** The form of plan.json that this runtime understands. */
const PLAN_VERSION = 1

/** A plan that cannot be used; the message says which file and why. */
export class PlanError extends Error {
  override readonly name = 'PlanError'
}

/**
 * The plan that the compiler wrote, as far as the runtime relies on it: an unreadable file, another version or a
 * missing part is a `PlanError`. The compiler has checked the rest.
 */
export function loadPlan(file: string): Plan {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new PlanError(`cannot read plan "${file}": ${(error as Error).message}`)
  }
  return parsePlan(text, file)
}

/** `loadPlan` for a text; `file` is for messages. */
export function parsePlan(text: string, file: string): Plan {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new PlanError(`cannot read plan "${file}": it is not JSON: ${(error as Error).message}`)
  }
  const flaw = findFlaw(value)
  if (flaw !== null) throw new PlanError(`cannot use plan "${file}": ${flaw}`)
  return value as Plan
}

type Fields = Readonly<Record<string, unknown>>

function findFlaw(value: unknown): string | null {
  if (!isObject(value)) return 'it is not a JSON object'
  if (value.version !== PLAN_VERSION) {
    return `its version is ${JSON.stringify(value.version)}, this program reads version ${PLAN_VERSION}`
  }
  const { machine, paths, sidecar, services } = value
  if (!isObject(machine) || typeof machine.id !== 'string') return 'it names no machine'
  if (!isObject(paths)) return 'it has no paths'
  const missing = PATHS.find((name) => typeof paths[name] !== 'string')
  if (missing !== undefined) return `it has no path "${missing}"`
  if (!isObject(sidecar) || typeof sidecar.port !== 'number') return 'it has no port for the sidecar'
  for (const list of ['services', 'directories', 'secrets', 'secretFiles']) {
    if (!Array.isArray(value[list])) return `"${list}" is not a list`
  }
  return findServiceFlaw(services as readonly unknown[])
}

const PATHS = ['root', 'run', 'gates', 'services', 'logs']

function findServiceFlaw(services: readonly unknown[]): string | null {
  const names = new Set<string>()
  for (const service of services) {
    if (!isObject(service) || typeof service.name !== 'string') return 'a service has no name'
    if (names.has(service.name)) return `two services are named "${service.name}"`
    names.add(service.name)
  }
  for (const service of services as readonly PlannedService[]) {
    const unknown = [...service.waitsFor, ...service.stopsBefore].find((name) => !names.has(name))
    if (unknown !== undefined) return `"${service.name}" refers to "${unknown}", which is not in it`
  }
  return null
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
