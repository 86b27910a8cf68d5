import { nearest } from '../../../schema/nearest.ts'
import type { RelatedLocation } from '../../diagnostics/diagnostic.ts'
import type { Compilation, OwnService, Service } from '../compilation.ts'
import { type Finding, rejection, wholeOf } from '../finding.ts'
import { builtinServices } from '../overlay.ts'
import type { Reference } from '../service-files.ts'

type Edges = (service: Service) => readonly Reference[]

/** Every name that a service depends on, or that a bundle holds, exists. */
export function* undefinedNameRules(compilation: Compilation): Iterable<Finding> {
  for (const service of compilation.services) {
    for (const reference of [...service.dependencies, ...service.contents]) {
      if (compilation.byName.has(reference.name)) continue
      yield service.kind === 'bundle'
        ? rejection('S6_UNDEFINED_MEMBER', ...undefinedName(compilation, service, reference, 'hold'))
        : rejection('S6_UNDEFINED_DEPENDENCY', ...undefinedName(compilation, service, reference, 'depend on'))
    }
  }
}

function undefinedName(
  { byName, profile }: Compilation,
  service: OwnService,
  { name, place }: Reference,
  verb: string,
) {
  const trimmed = name.trim()
  const isOverlays = profile === undefined && builtinServices().some((builtin) => builtin.name === name)
  const hint = isOverlays
    ? 's6-overlay defines it: check the directory that holds "s6-rc.d" instead'
    : trimmed !== name && byName.has(trimmed)
      ? `"${trimmed}" exists: the line ends in blanks or a carriage return (CRLF)`
      : nearName(name, byName, profile !== undefined)
  const message = `cannot have "${service.name}" ${verb} ${JSON.stringify(name)}: no such service`
  return [place, message, { hint }] as const
}

function nearName(name: string, byName: Compilation['byName'], isProfile: boolean): string {
  const near = nearest(name, byName.keys())
  if (near !== undefined) return `did you mean "${near}"?`
  const add = 'add the service, or remove the name'
  return isProfile ? `${add}; if a base image defines it, check the root file system of the built image` : add
}

/** Services that wait for each other, and bundles that contain themselves. */
export function* cycleRules({ services, byName }: Compilation): Iterable<Finding> {
  const members: Edges = (service) => (service.kind === 'bundle' ? service.contents : [])
  const all: Edges = (service) => (service.kind === 'bundle' ? service.contents : waitsFor(service))
  const bundles = services.filter((service) => service.kind === 'bundle')
  for (const cycle of cyclesFrom(bundles, byName, members)) {
    yield rejection(
      'S6_BUNDLE_CYCLE',
      cycle[0]!.place,
      `cannot resolve bundle ${describe(cycle)}: it contains itself`,
      {
        related: relatedOf(cycle),
      },
    )
  }
  const atomic = services.filter((service) => service.kind !== 'bundle')
  for (const cycle of cyclesFrom(atomic, byName, all)) {
    const message =
      cycle.length === 1
        ? `cannot have "${cycle[0]!.name}" depend on itself`
        : `cannot order services: ${describe(cycle)} is a cycle`
    yield rejection('S6_DEPENDENCY_CYCLE', cycle[0]!.place, message, { related: relatedOf(cycle) })
  }
}

/** What s6-rc has a service wait for: its dependencies, and of a producer the consumer. */
export function waitsFor(service: Service): readonly Reference[] {
  return [...service.dependencies, ...(service.producerFor ?? [])]
}

/**
 * For each start the shortest way back to itself, as the references along it; ways that share a service with one
 * already found are left out.
 */
function* cyclesFrom(
  starts: readonly OwnService[],
  byName: Compilation['byName'],
  edges: Edges,
): Iterable<Reference[]> {
  const reported = new Set<string>()
  for (const start of starts) {
    if (reported.has(start.name)) continue
    const cycle = shortestCycle(start, byName, edges)
    if (cycle === undefined) continue
    const isKnown = cycle.some((reference) => reported.has(reference.name))
    for (const reference of cycle) reported.add(reference.name)
    if (!isKnown) yield cycle
  }
}

function shortestCycle(start: Service, byName: Compilation['byName'], edges: Edges): Reference[] | undefined {
  const arrivedBy = new Map<string, { from: string; reference: Reference }>()
  const queue: Service[] = [start]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    for (const reference of edges(next)) {
      if (arrivedBy.has(reference.name)) continue
      arrivedBy.set(reference.name, { from: next.name, reference })
      if (reference.name === start.name) return wayBack(start.name, arrivedBy)
      const target = byName.get(reference.name)
      if (target !== undefined) queue.push(target)
    }
  }
  return undefined
}

function wayBack(start: string, arrivedBy: ReadonlyMap<string, { from: string; reference: Reference }>): Reference[] {
  const way: Reference[] = []
  for (let name = start; ; ) {
    const step = arrivedBy.get(name)!
    way.unshift(step.reference)
    if (step.from === start) return way
    name = step.from
  }
}

function describe(cycle: readonly Reference[]): string {
  return [cycle.at(-1)!, ...cycle].map((reference) => `"${reference.name}"`).join(' -> ')
}

/** The other edges of a cycle; those inside s6-overlay have no file. */
function relatedOf(cycle: readonly Reference[]): RelatedLocation[] {
  return cycle
    .slice(1)
    .filter((reference) => reference.place.file !== wholeOf({ path: '' }).file)
    .map((reference) => ({ ...reference.place, message: `"${reference.name}" is needed here` }))
}
