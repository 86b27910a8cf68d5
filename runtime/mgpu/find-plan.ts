import { readdirSync, readFileSync, statSync } from 'node:fs'
import type { Environment } from '../../schema/interpolation.ts'

export interface PlanSearch {
  readonly plan: string | null
  /** A name of several local machines, or of the directory of one. */
  readonly machine: string | null
  readonly environment: Environment
  readonly directory: string
}

/** Of a container: the tree that this boot runs from, else the one of the image. */
const CONTAINER_PLANS = ['/run/machinegen/root/etc/machinegen/plan.json', '/etc/machinegen/plan.json']

/**
 * Where the plan of the machine is: as it was given, that of this container, that of a local machine below the working
 * directory. Throws with what was looked for where there is none, or where there are several.
 */
export function findPlan({ plan, machine, environment, directory }: PlanSearch): string {
  if (plan !== null) return plan
  if (machine === null) {
    const given = environment.MACHINE_PLAN
    if (given !== undefined && given !== '') return given
    const own = CONTAINER_PLANS.find(exists)
    if (own !== undefined) return own
  }
  const places = localPlans(directory)
  const fitting = machine === null ? places : places.filter((place) => isCalled(place, machine))
  if (fitting.length === 1) return fitting[0]!.file
  throw new Error(describeChoice(fitting.length === 0 ? places : fitting, machine, directory))
}

interface LocalPlan {
  readonly name: string
  readonly file: string
}

function localPlans(directory: string): readonly LocalPlan[] {
  const base = `${directory}/.machine`
  return listDirectories(base)
    .map((name) => ({ name, file: `${base}/${name}/config/plan.json` }))
    .filter(({ file }) => exists(file))
}

function isCalled({ name, file }: LocalPlan, machine: string): boolean {
  return name === machine || machineId(file) === machine
}

function machineId(file: string): string | null {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { machine?: { id?: string } }).machine?.id ?? null
  } catch {
    return null
  }
}

function describeChoice(places: readonly LocalPlan[], machine: string | null, directory: string): string {
  const names = places.map(({ name }) => `"${name}"`).join(', ')
  if (places.length === 0) {
    return `cannot find a machine: there is none in "${directory}/.machine", and this is no container of one; name its plan with --plan FILE`
  }
  if (machine !== null) return `cannot find machine "${machine}": in "${directory}/.machine" there is ${names}`
  return `cannot choose a machine: in "${directory}/.machine" there are ${names}; name one with --machine`
}

function exists(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function listDirectories(path: string): readonly string[] {
  try {
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort()
  } catch {
    return []
  }
}
